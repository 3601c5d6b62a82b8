/** The texts of a node's attempts. */

export const ATTEMPTS = {
  attempt: (number: number) => `Attempt ${number}`,
  both: (number: number, number2: number) => `Attempt ${number} and ${number2}`,
  compare: (number: number) => `Compare attempt ${number}`,
  copyDebug: (number: number) => `Copy the debug command of attempt ${number}`,
  cpus: "CPUs",
  differences: "Differences",
  differencesIn: (stream: string) => `Differences in ${stream}`,
  limit: (limit: string) => `limit ${limit}`,
  memory: "Memory",
  noDifferences: (note: string) => `No differences.${note}`,
  notRunYet: "Not run yet",
  output: "Output",
  resources: (number: number) => `Resource use of attempt ${number}`,
  same: "Command, environment, image, size and outcome are the same.",
  selectTwo: "Select two attempts to compare them.",
  snapshot: "Snapshot:",
  tooDifferent: (maxDifferences: number, note: string) =>
    `More than ${maxDifferences} lines differ.${note}`,
};
