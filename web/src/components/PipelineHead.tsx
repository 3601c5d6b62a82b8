import type { ReactNode } from "react";

import type { Counts } from "@/api/schema";
import { CountsBar } from "@/components/Counts";
import { PipelineNav, type PipelinePageName } from "@/components/PipelineNav";
import { followLink, pipelineUrl } from "@/lib/location";
import { NO_COUNTS } from "@/model/states";

interface Props {
  id: string;
  page: PipelinePageName;
  /** The pipeline's title; undefined while it loads. */
  title?: string;
  tags?: readonly string[];
  counts?: Counts;
  /** State, times and counts. */
  facts?: ReactNode;
  /** Buttons. */
  children?: ReactNode;
}

/** The header of all pages of a pipeline. */
export function PipelineHead({ id, page, title, tags = [], counts, facts, children }: Props) {
  return (
    <header className="phead">
      <div className="phead-line">
        <h1 className="clip" title={title}>
          {page === "tree" ? (
            (title ?? id)
          ) : (
            <a href={pipelineUrl(id)} onClick={followLink}>
              {title ?? id}
            </a>
          )}
        </h1>
        {title === undefined ? null : <code className="muted">{id}</code>}
        {tags.map((tag) => (
          <span key={tag} className="tag">
            {tag}
          </span>
        ))}
        {children}
      </div>
      <div className="phead-line phead-facts">{facts}</div>
      <PipelineNav id={id} current={page} />
      <CountsBar counts={counts ?? NO_COUNTS} />
    </header>
  );
}
