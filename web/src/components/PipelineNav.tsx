import "@/components/pages.css";

import { followLink, pipelineUrl } from "@/lib/location";

/** The pages of a pipeline. */
export const PIPELINE_PAGES = ["tree", "timeline", "images", "data"] as const;
export type PipelinePageName = (typeof PIPELINE_PAGES)[number];

const LABELS: Record<PipelinePageName, string> = {
  tree: "Tree",
  timeline: "Timeline",
  images: "Images",
  data: "Data",
};

export function pipelinePageUrl(id: string, page: PipelinePageName): string {
  return page === "tree" ? pipelineUrl(id) : `${pipelineUrl(id)}/${page}`;
}

export function PipelineNav({ id, current }: { id: string; current: PipelinePageName }) {
  return (
    <nav className="pnav" aria-label="Pipeline">
      {PIPELINE_PAGES.map((page) => (
        <a
          key={page}
          href={pipelinePageUrl(id, page)}
          onClick={followLink}
          {...(page === current ? { "aria-current": "page" as const } : {})}
        >
          {LABELS[page]}
        </a>
      ))}
    </nav>
  );
}
