/** The texts of the search of all outputs. */

import { plural } from "@/lib/time";

export const OUTPUT_SEARCH = {
  errorMark: "err",
  failed: "Failed only",
  found: (lines: number, nodes: number, finished: boolean) => {
    if (lines > 0) return `${plural(lines, "line")} in ${plural(nodes, "node")}`;
    return finished ? "No matching lines" : "No matching lines so far";
  },
  hint: (commands: number) =>
    `Searches the newest output of ${plural(commands, "command")}, in any case.`,
  label: "Search the output of all commands",
  lines: (count: number, more: boolean) => (more ? `${count}+ lines` : plural(count, "line")),
  regex: "Regular expression",
  resume: "Show more",
  search: "Search",
  searched: (done: number, all: number | null) =>
    all === null
      ? `${plural(done, "command")} searched`
      : `${done.toLocaleString("en")} of ${plural(all, "command")} searched`,
  stop: "Stop",
  unread: (count: number, seconds: number) =>
    `Not yet: ${count.toLocaleString("en")}, trying again ${seconds > 0 ? `in ${seconds}s` : "now"}`,
};
