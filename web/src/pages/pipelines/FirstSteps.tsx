import { CopyButton } from "@/ui/CopyButton";
import { Empty } from "@/ui/Empty";

const SCRIPT = `import conducto as co

def pipeline() -> co.Serial:
    with co.Serial(image="python:3.11-slim") as root:
        co.Exec("echo hello", name="hello")
    return root

if __name__ == "__main__":
    co.main(default=pipeline)
`;
const COMMAND = "python pipeline.py --local --run";

/** The list before the first pipeline: how to get one. */
export function FirstSteps() {
  return (
    <Empty title="No pipelines yet">
      <p className="muted">
        A pipeline is a Python script. Save this as <code>pipeline.py</code>:
      </p>
      <pre>{SCRIPT}</pre>
      <p className="muted">Then launch it; it appears here by itself.</p>
      <pre>
        {COMMAND} <CopyButton text={COMMAND} label="Copy the command" />
      </pre>
    </Empty>
  );
}
