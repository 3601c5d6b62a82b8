import { IN_CLOUD } from "@/api/side";
import { Code } from "@/components/Code";
import { Empty } from "@/components/Empty";
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

/** The list before the first pipeline: how to get one. */
export function FirstSteps() {
  return (
    <Empty title="No pipelines yet">
      <p className="muted">
        A pipeline is a Python script. Save this as <code>pipeline.py</code>:
      </p>
      <Code text={SCRIPT.trimEnd()} label="the script" />
      <p className="muted">Then launch it; it appears here by itself.</p>
      <Code text={COMMAND} label="the command" />
      <p className="muted">
        What was archived is{" "}
        <a href="/?lifecycle=archived" onClick={followLink}>
          here
        </a>
        .
      </p>
    </Empty>
  );
}
