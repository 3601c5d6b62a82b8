/** The texts of a node's results. */

export const RESULTS = {
  artifacts: "Artifacts",
  download: (name: string) => `Download ${name}`,
  metrics: "Metrics",
  result: "Result",
  resultCode: "result",
};
