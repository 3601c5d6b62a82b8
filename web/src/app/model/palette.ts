/** Entries of the command palette, and which of them match a text. */

/** Sections in the order of display. */
export type Section = "node" | "nodes" | "actions" | "pipelines" | "pages";
const SECTIONS: readonly Section[] = ["node", "nodes", "actions", "pipelines", "pages"];

export interface Entry {
  section: Section;
  id: string;
  label: string;
  /** Shown beside the label, and searched as well. */
  hint?: string;
  /** The server has found it: it matches whatever the text is. */
  found?: boolean;
  run: () => void;
}

/** Entries with every word of the text, by section; those that begin with it first. */
export function matching(entries: readonly Entry[], text: string): Entry[] {
  const wanted = text.trim().toLowerCase();
  const words = wanted.split(/\s+/);
  const hits = entries.filter(({ label, hint = "", found = false }) => {
    const searched = `${label} ${hint}`.toLowerCase();
    return found || words.every((word) => searched.includes(word));
  });
  const rank = ({ label }: Entry) => (label.toLowerCase().startsWith(wanted) ? 0 : 1);
  return SECTIONS.flatMap((section) =>
    hits.filter((one) => one.section === section).toSorted((a, b) => rank(a) - rank(b)),
  );
}

/** The next index in a direction, around the ends. */
export function moved(index: number, by: 1 | -1, count: number): number {
  return count === 0 ? 0 : (index + by + count) % count;
}
