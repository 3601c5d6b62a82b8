import type { ReactNode } from "react";

import type { PipelineSummary } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import styles from "@/programs/launch/LaunchPage.module.css";

interface Props {
  /** The pipeline whose program is launched again. */
  summary?: PipelineSummary;
  heading?: string;
  children: ReactNode;
}

/** The header of a launch form: the pipeline, the heading and the buttons. */
export function LaunchHead({ summary, heading = "Launch again", children }: Props) {
  return (
    <header className={styles.head}>
      {summary === undefined ? null : <Pipeline summary={summary} />}
      <h1>{heading}</h1>
      <div className={styles.buttons}>{children}</div>
    </header>
  );
}

function Pipeline({ summary: { pipeline } }: { summary: PipelineSummary }) {
  return (
    <>
      <a
        className="clip"
        href={pipelineUrl(pipeline.id)}
        onClick={followLink}
        title={pipeline.title}
      >
        {pipeline.title}
      </a>
      <span aria-hidden>/</span>
    </>
  );
}
