import type { ReactNode } from "react";

import type { PipelineSummary } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import styles from "@/pages/launch/LaunchPage.module.css";
import { LAUNCH } from "@/strings/launch";

/** The header of the launch form: the pipeline, the heading and the buttons. */
export function LaunchHead({
  summary: { pipeline },
  children,
}: {
  summary: PipelineSummary;
  children: ReactNode;
}) {
  return (
    <header className={styles.head}>
      <a
        className="clip"
        href={pipelineUrl(pipeline.id)}
        onClick={followLink}
        title={pipeline.title}
      >
        {pipeline.title}
      </a>
      <span aria-hidden>/</span>
      <h1>{LAUNCH.heading}</h1>
      <div className={styles.buttons}>{children}</div>
    </header>
  );
}
