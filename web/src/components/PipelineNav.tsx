import "@/components/pages.css";

import { followLink, pipelineUrl } from "@/lib/location";

/** The pages of one pipeline; the tree is the pipeline's own address. */
export const PIPELINE_PAGES = ["tree", "timeline", "images", "data"] as const;
export type PipelinePageName = (typeof PIPELINE_PAGES)[number];

const WORDS: Record<PipelinePageName, string> = {
  tree: "Tree",
  timeline: "Timeline",
  images: "Images",
  data: "Data",
};

/** The address of a page of a pipeline. */
export function pipelinePageUrl(id: string, page: PipelinePageName): string {
  return page === "tree" ? pipelineUrl(id) : `${pipelineUrl(id)}/${page}`;
}

/** Links between the pages of a pipeline. */
export function PipelineNav({ id, current }: { id: string; current: PipelinePageName }) {
  return (
    <nav className="pnav" aria-label="Of this pipeline">
      {PIPELINE_PAGES.map((page) => (
        <a
          key={page}
          href={pipelinePageUrl(id, page)}
          onClick={followLink}
          {...(page === current ? { "aria-current": "page" as const } : {})}
        >
          {WORDS[page]}
        </a>
      ))}
    </nav>
  );
}
