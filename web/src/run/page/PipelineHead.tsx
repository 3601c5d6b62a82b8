import type { ReactNode } from "react";

import type { Counts } from "@/api/schema";
import { CountsBar } from "@/components/Counts";
import { followLink, pipelineUrl } from "@/lib/location";
import { countsText, NO_COUNTS } from "@/run/model/states";
import styles from "@/run/page/PipelineHead.module.css";
import { PipelineNav, type PipelineView } from "@/run/page/PipelineNav";

interface Props {
  id: string;
  view: PipelineView;
  /** The pipeline's title; undefined while it loads. */
  title?: string;
  /** The address of its program's page. */
  history?: string;
  tags?: readonly string[];
  counts?: Counts;
  /** A node is open: its name is the heading, and its header replaces this one on small screens. */
  node?: boolean;
  /** State and times. */
  facts?: ReactNode;
  /** Buttons. */
  children?: ReactNode;
}

/** The header of all pages of a pipeline: one row, and the progress of its commands. */
export function PipelineHead(props: Props) {
  const { id, view, title, tags = [], counts = NO_COUNTS, node = false, facts, children } = props;
  const { history } = props;
  const Heading = node ? "div" : "h1";
  return (
    <header className={styles.head} data-node={node || undefined}>
      <div className={styles.row}>
        <Heading className={`${styles.title ?? ""} clip`} title={title}>
          <a href={pipelineUrl(id)} onClick={followLink}>
            {title ?? id}
          </a>
        </Heading>
        {title === undefined ? null : <code className={styles.id}>{id}</code>}
        {history === undefined ? null : (
          <a className={styles.history} href={history} onClick={followLink}>
            Program
          </a>
        )}
        {tags.map((tag) => (
          <span key={tag} className={`tag ${styles.tag ?? ""}`}>
            {tag}
          </span>
        ))}
        <div className={styles.facts}>{facts}</div>
        <PipelineNav id={id} current={view} />
        {children}
      </div>
      <div className={styles.progress}>
        <span className="sr-only">{countsText(counts)}</span>
        <CountsBar counts={counts} />
      </div>
    </header>
  );
}
