import { useEffect } from "react";

import { IN_CLOUD } from "@/api/deployment";
import { Code } from "@/components/Code";
import { EmptyState } from "@/components/EmptyState";
import { followLink } from "@/lib/location";
import { planTour } from "@/lib/tour";

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
  useEffect(planTour, []);
  const install = `pip install conducto-pipelines\nconducto login --url ${location.origin}`;
  return (
    <EmptyState icon="list" title="No pipelines yet" docs="getting-started">
      {IN_CLOUD ? (
        <>
          <p className="muted">Install Conducto and sign in, in a terminal.</p>
          <Code text={install} label="command" />
        </>
      ) : null}
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
