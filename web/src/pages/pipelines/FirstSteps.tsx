import { IN_CLOUD } from "@/api/deployment";
import { Code } from "@/components/Code";
import { EmptyState } from "@/components/EmptyState";
import { followLink } from "@/lib/location";

const SCRIPT = `import conducto as co

def pipeline() -> co.Serial:
    with co.Serial(image="python:3.11-slim") as root:
        co.Exec("echo hello", name="hello")
    return root

if __name__ == "__main__":
    co.main(default=pipeline)
`;
const COMMAND = `python pipeline.py ${IN_CLOUD ? "--cloud" : "--local"} --run`;

/** Shown when there are no pipelines. */
export function FirstSteps() {
  return (
    <EmptyState title="No pipelines yet">
      <p className="muted">
        A pipeline is a Python script. Save this as <code>pipeline.py</code>:
      </p>
      <Code text={SCRIPT.trimEnd()} label="script" />
      <p className="muted">Then launch it. It appears here automatically.</p>
      <Code text={COMMAND} label="command" />
      <p className="muted">
        You can also view{" "}
        <a href="/?lifecycle=archived" onClick={followLink}>
          archived pipelines
        </a>
        .
      </p>
    </EmptyState>
  );
}
