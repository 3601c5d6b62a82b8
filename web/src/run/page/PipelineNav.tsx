import { useMediaQuery } from "@/components/useMediaQuery";
import { followLink, pipelineUrl } from "@/lib/location";
import { ONE_PANE } from "@/run/page/layout";
import styles from "@/run/page/PipelineNav.module.css";

const NAMES = {
  overview: "Overview",
  tree: "Tree",
  timeline: "Timeline",
  tests: "Tests",
  images: "Images",
  data: "Data",
};

/** The pages of a pipeline, and the panes of its first page, which small screens show one by one. */
export type PipelineView = "overview" | "tree" | "timeline" | "tests" | "images" | "data";

const VIEWS: readonly PipelineView[] = ["tree", "timeline", "tests", "images", "data"];

function viewUrl(id: string, view: PipelineView, onePane: boolean): string {
  const base = pipelineUrl(id);
  if (view === "overview") return base;
  if (view === "tree") return onePane ? `${base}?view=tree` : base;
  return `${base}/${view}`;
}

export function PipelineNav({ id, current }: { id: string; current: PipelineView }) {
  const onePane = useMediaQuery(ONE_PANE);
  const views: readonly PipelineView[] = onePane ? ["overview", ...VIEWS] : VIEWS;
  const shown = current === "overview" && !onePane ? "tree" : current;
  return (
    <nav className={styles.nav} aria-label="Pipeline">
      {views.map((view) => (
        <a
          key={view}
          href={viewUrl(id, view, onePane)}
          onClick={followLink}
          {...(view === shown ? { "aria-current": "page" as const } : {})}
        >
          {NAMES[view]}
        </a>
      ))}
    </nav>
  );
}
