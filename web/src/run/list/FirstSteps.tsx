import { useEffect } from "react";

import { IN_CLOUD } from "@/api/deployment";
import { Code } from "@/components/Code";
import { EmptyState } from "@/components/EmptyState";
import { followLink } from "@/lib/location";
import { planTour } from "@/lib/tour";
import { LIST } from "@/run/texts/pipelines";

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
  const install = `pip install conducto\nconducto login --url ${location.origin}`;
  return (
    <EmptyState title={LIST.none}>
      {IN_CLOUD ? (
        <>
          <p className="muted">{LIST.installStep}</p>
          <Code text={install} label={LIST.command} />
        </>
      ) : null}
      <p className="muted">
        {LIST.firstStep}
        <code>pipeline.py</code>:
      </p>
      <Code text={SCRIPT.trimEnd()} label={LIST.script} />
      <p className="muted">{LIST.secondStep}</p>
      <Code text={COMMAND} label={LIST.command} />
      <p className="muted">
        {LIST.alsoView}
        <a href="/?lifecycle=archived" onClick={followLink}>
          {LIST.archivedPipelines}
        </a>
        .
      </p>
    </EmptyState>
  );
}
