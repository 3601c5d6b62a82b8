/** The texts of the timeline's chart. */

export const CHART = {
  allNodes: "All nodes",
  byNode: "By node",
  byWorker: "By worker",
  criticalPath: "critical path",
  done: "done",
  dragHint: ". Drag to zoom in.",
  failed: "failed",
  failure: "failure",
  firstAttempts: (maxAttempts: string) =>
    `Showing the first ${maxAttempts} attempts. To see others, select one and press “Show only its group”. `,
  groups: "Groups",
  nodeKeys:
    "Use up and down arrow keys to move between rows, left and right to open or close a group and to move between attempts, plus and minus to zoom, brackets to pan, and Enter to open the node or group.",
  workerKeys:
    "Use arrow keys to move between rows and attempts, plus and minus to zoom, brackets to pan, and Enter to open the node.",
  killed: "killed",
  legend: "Legend",
  loading: (size: string) => `Loading, ${size} so far… `,
  nodes: "Nodes",
  nothing: "Nothing has run yet",
  nothingHelp: "A bar will appear here for each queued or running command.",
  resetZoom: "Reset zoom",
  rows: "Rows",
  running: "running",
  runningAt: (steps: string, time: string) => `${steps} running at ${time}`,
  runningOverTime: "running commands over time",
  selectBar: "Select a bar for details",
  selectRow: "Select a row to open its group",
  showAll: "Show all",
  showGroup: "Show only its group",
  showingOnly: "Showing only ",
  title: "Timeline",
  unknownWait: "unknown wait",
  waitingForContainer: "waiting for container",
  waitingForImage: "waiting for image",
  waitingSlot: "waiting for a slot",
  workers: "Workers",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
};

export const TIMELINE = {
  allRounds: "All rounds",
  bottleneckIs: "The bottleneck is",
  criticalPath: "Critical path",
  criticalTitle: "The chain of commands that determines the total time",
  pathOf: (round: string, time: string) => `Critical path of ${round}: ${time}`,
  round: "Round",
  runningAndWaiting: (running: string, waiting: string) =>
    `${running} running, ${waiting} waiting.`,
  waits: {
    image: "image",
    turn: "wait for a slot",
    limit: "wait for a limit",
    start: "container",
    approval: "wait for approval",
    unknown: "wait",
  },
};
