/** The texts of the command palette. */

export const PALETTE = {
  title: "Command palette",
  hint: "Pipelines, nodes, actions and pages",
  results: "Results",
  none: "Nothing found",
  sections: {
    node: "This node",
    nodes: "Nodes",
    actions: "This pipeline",
    pipelines: "Pipelines",
    pages: "Pages",
  },
  launchAgain: "Launch again",
  launchFromGit: "Launch from Git",
  tree: "Show the tree",
  timeline: "Show the timeline",
  images: "Show images",
  data: "Show data",
  run: "Run this pipeline",
  running: "Running",
  pause: "Pause this pipeline",
  paused: "Paused. Running commands will finish; no new ones start",
};
