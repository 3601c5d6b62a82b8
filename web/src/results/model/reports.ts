/** Reports of a pipeline: Markdown files in `reports/` of its data. */

import type { DataEntry } from "@/api/schema";
import { baseName } from "@/data/model/dataFiles";

export const REPORTS = "reports";
/** Maximum number of reports shown. */
export const MAX_REPORTS = 20;

export interface Report {
  entry: DataEntry;
  title: string;
  /** The node in the file name; null if it names none. */
  node: string | null;
}

export interface Reports {
  shown: Report[];
  /** Number of reports that are not shown. */
  more: number;
}

const EXTENSION = /\.(?:md|markdown)$/i;
const COLLATOR = new Intl.Collator("en", { numeric: true });

/** Reports by name, those of nodes last. */
export function reportsIn(entries: readonly DataEntry[]): Reports {
  const found = entries
    .filter((entry) => entry.kind === "file" && EXTENSION.test(entry.name))
    .map(reportOf)
    .toSorted(compare);
  const shown = found.slice(0, MAX_REPORTS);
  return { shown, more: found.length - shown.length };
}

function reportOf(entry: DataEntry): Report {
  const name = baseName(entry.name).replace(EXTENSION, "");
  const node = nodeOf(name);
  return { entry, title: node ?? name, node };
}

function compare(one: Report, other: Report): number {
  const named = Number(one.node !== null) - Number(other.node !== null);
  return named === 0 ? COLLATOR.compare(one.title, other.title) : named;
}

/** The node in a file name, as written by `co.nb.report`; null for other names. */
function nodeOf(name: string): string | null {
  if (!name.startsWith("+")) return null;
  try {
    return decodeURIComponent(name.replaceAll("+", "/"));
  } catch {
    return null; // invalid percent-encoding: the path was truncated
  }
}

/** The complete lines of a truncated text. */
export function wholeLines(text: string): string {
  const end = text.lastIndexOf("\n");
  return end < 0 ? text : text.slice(0, end + 1);
}
