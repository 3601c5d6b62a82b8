/** Reports of a pipeline: markdown in `reports/` of its data, whoever wrote it. */

import type { DataEntry } from "@/api/schema";
import { baseName } from "@/model/dataFiles";

export const REPORTS = "reports";
/** As many are shown. */
export const MOST_REPORTS = 20;

export interface Report {
  entry: DataEntry;
  title: string;
  /** The node that the name says it is of; null where it says none. */
  node: string | null;
}

export interface Reports {
  shown: Report[];
  /** How many more there are. */
  more: number;
}

const ENDING = /\.(?:md|markdown)$/i;
const ORDER = new Intl.Collator("en", { numeric: true });

/** The reports of a directory by name, those that are named after nodes last. */
export function reportsIn(entries: readonly DataEntry[]): Reports {
  const found = entries
    .filter((entry) => entry.kind === "file" && ENDING.test(entry.name))
    .map(reportOf)
    .toSorted(inOrder);
  const shown = found.slice(0, MOST_REPORTS);
  return { shown, more: found.length - shown.length };
}

function reportOf(entry: DataEntry): Report {
  const plain = baseName(entry.name).replace(ENDING, "");
  const node = nodeOf(plain);
  return { entry, title: node ?? plain, node };
}

function inOrder(one: Report, other: Report): number {
  const named = Number(one.node !== null) - Number(other.node !== null);
  return named === 0 ? ORDER.compare(one.title, other.title) : named;
}

/** The path that a file is named after, as `co.nb.report` does; null of any other name. */
function nodeOf(name: string): string | null {
  if (!name.startsWith("+")) return null;
  try {
    return decodeURIComponent(name.replaceAll("+", "/"));
  } catch {
    return null; // a percent sign that stands for nothing: the path was too long
  }
}

/** As much of a text as was fetched, up to the last line that is whole. */
export function wholeLines(text: string): string {
  const end = text.lastIndexOf("\n");
  return end < 0 ? text : text.slice(0, end + 1);
}
