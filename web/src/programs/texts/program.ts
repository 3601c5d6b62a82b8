/** The texts of the page of a program. */

import { plural } from "@/lib/time";

function lastOf(count: number): string {
  return count === 1 ? "last pipeline" : `last ${plural(count, "pipeline")}`;
}

export const PROGRAM = {
  none: "No pipelines of this program",
  passRate: "Pass rate",
  ofPipelines: (count: number) => `of ${plural(count, "finished pipeline")}`,
  rateBefore: (rate: number, count: number) => `${rate}% in the ${count} before`,
  medianTime: "Median time",
  median: (time: string) => `median ${time}`,
  p95: (time: string) => `95% within ${time}`,
  newest: "Newest pipeline",
  failedCommands: (failed: number, all: number) =>
    `${failed.toLocaleString("en")} of ${plural(all, "command")} failed`,
  times: "Time of each pipeline",
  timesNote: "crosses mark failed pipelines",
  shown: "Number of pipelines",
  metrics: "Metrics",
  flaky: "Flaky nodes",
  flakyNote: "different outcomes of the same command",
  noFlaky: (count: number) => `No node had different outcomes in the ${lastOf(count)}.`,
  lastPipelines: lastOf,
  tooLarge: "Older pipelines are too large to be read at once.",
  slowest: "Slowest nodes",
  noSlowest: "No command has passed yet.",
  medianColumn: "Median",
  share: "Share",
  lastTime: "Newest",
  timeLost: "Time lost",
  node: "Node",
  flaked: "Flaky",
  pipelines: "Pipelines",
  flakedOf: (count: number, all: number) => `${count} of ${all}`,
  outcomes: { p: "passed", r: "passed after a retry", f: "failed", "-": "did not run" } as Record<
    string,
    string
  >,
  compare: "Compare two pipelines",
  first: "First pipeline",
  second: "Second pipeline",
  swap: "Swap",
  and: "and",
  bothHave: (count: number) => `${plural(count, "command")} in both`,
  kinds: {
    newly_failing: "newly failing",
    fixed: "fixed",
    slower: "slower",
    faster: "faster",
    command: "with another command",
    parameter: "parameters changed",
    image: "images changed",
    node_image: "in another image",
    result: "with another result",
    added: "added",
    removed: "removed",
  },
  more: (count: number) => `${count.toLocaleString("en")} more`,
  openIn: (path: string, letter: string) => `${path} in ${letter}`,
  noDifference: "No difference in outcome, time, command, image or result.",
  cutResults: "Only the first 200 results are compared.",
  copyCommand: "Copy command",
  command: (before: string, after: string) => `conducto compare ${before} ${after}`,
};
