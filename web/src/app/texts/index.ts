/**
 * The texts of the app, ready for translation: one object for each component or page, in
 * alphabetical order. A text with values is a function.
 */

import { duration, plural } from "@/lib/time";

export const ACTIONS = {
  keepRunning: "Keep running",
  modifyStarts: (others: number) =>
    `The pipeline is paused. "Modify and rerun" runs it, with ${plural(others, "other pending command")}.`,
  nothingChanged: "Nothing changed: the action does not apply to these commands",
  othersRun: (count: number) =>
    `The pipeline is paused. ${plural(count, "other pending command")} will also run.`,
  results: {
    run: "Running",
    pause: "Paused. Running commands will finish; no new ones start",
    cancel: "Cancelled",
    reset: "Reset",
    rerun: "Rerunning",
    skip: "Skipped",
    unskip: "Unskipped",
    kill: "Killed",
    modify: "Modified",
    rebuild: "Rebuilding the images of",
    sleep: "Sleeping. The containers were removed",
    wake: "Awake",
    archive: "Archived",
  },
  thisPipeline: "this pipeline",
  verbs: {
    run: "Run",
    pause: "Pause",
    cancel: "Cancel",
    reset: "Reset",
    rerun: "Rerun",
    skip: "Skip",
    unskip: "Unskip",
    kill: "Kill",
    modify: "Modify",
    rebuild: "Rebuild and rerun",
    sleep: "Sleep",
    wake: "Wake",
    archive: "Archive",
  },
};

export const ADVICE = { paused: "the pipeline is paused" };

export const CONTINUATION = {
  when: (time: string) => `Tree replaced at ${time}`,
  kept: (count: number) => `${count.toLocaleString("en")} kept`,
  runs: (count: number) => `${count.toLocaleString("en")} ${count === 1 ? "runs" : "run"}`,
  skipped: (count: number) => `${count.toLocaleString("en")} skipped`,
  removed: (count: number) => `${count.toLocaleString("en")} removed`,
  stays: "kept: nothing that it depends on changed",
  skips: "skipped",
  skipsSince: (reason: string) => `skipped: ${reason}`,
  runsSince: (reason: string) => `runs: ${reason}`,
  more: (count: number) => `and ${count.toLocaleString("en")} more`,
};

export const DEBUG = {
  copied: (command: string) => `Copied: ${command}`,
  copy: "Copy debug command",
  copyLive: "Copy live debug command",
  copyRemote: "Copy remote debug command",
  enter: (command: string) => `Run: ${command}`,
  liveHint: "livedebug: the same shell with your local code",
  openShell: "Open shell",
  openShellHint: "this node's image, data and environment",
  openSnapshot: "Open snapshot",
  openSnapshotHint: "a shell with the files of the failed attempt",
  remoteHint: "the same shell on a worker in the cloud, with access to the data",
};

export const LOG = { link: "Link to this line; with Shift to a range" };

export const METRIC_COMPARISON = {
  title: "Compared with earlier pipelines",
  values: (name: string) => `Last values of ${name}`,
};

export const NAVIGATION = {
  label: "Pages",
  help: "Help",
  home: "All pipelines",
  search: "Search",
  theme: (name: string) => `Theme: ${name}`,
  pipelines: "Pipelines",
  schedule: "Schedule",
  schedules: "Schedules",
  triggers: "Triggers",
  notifications: "Notifications",
  data: "Data",
  secrets: "Secrets",
  agent: "Agent",
  agents: "Agents",
  account: "Account",
  organisation: "Organisation",
  settings: "Settings",
};

export const NODE_HEADER = {
  actions: "Actions",
  since: (time: string) => `since ${time}`,
  back: "Back to the tree",
  copied: (text: string) => `Copied: ${text}`,
  copyPath: "Copy path",
  debug: "Debug",
  kill: "Kill",
  modify: "Modify",
  more: "Node actions",
  output: "Show output",
  path: "Path",
  rebuild: "Rebuild and rerun",
  rebuildHint: "with the current code in its images",
  rerun: "Rerun",
  skip: "Skip",
  unskip: "Unskip",
};

export const NODE_TABS = {
  label: "Node",
  labels: {
    output: "Output",
    report: "Report",
    results: "Results",
    files: "Files",
    attempts: "Attempts",
    overview: "Overview",
    details: "Details",
  },
  pane: (path: string) => `Node ${path}`,
};

export const LAZY = {
  failed: "Could not load this part",
  offline: "It appears when the connection is back.",
  outdated: "If the app was updated since this page was opened, reload the page.",
  reload: "Reload page",
  retry: "Retry",
};

export const NOTIFICATIONS = {
  badgeOnly:
    "Watching this pipeline. The browser does not allow notifications, so the title of the tab counts its events.",
  failing: "First failure",
  watch: "Notify me when it ends or fails",
  watching: "You will be notified when it ends or fails, while a tab of this app is open",
};

export const OFFLINE = {
  retry: "Retry now",
  announced: (server: string) =>
    `Offline: ${server} does not respond. Showing the last known state; the page reconnects ` +
    "automatically.",
  nextTry: (seconds: number) => `Next try in ${seconds}s.`,
  starts: "starts it.",
  text: (server: string, time: string) => `Offline: ${server} has not answered for ${time}.`,
  trying: "Trying now…",
};

export const OUTPUT = {
  attempt: "Attempt",
  attemptName: (number: number, outcome: string, time: string | null) =>
    `Attempt ${number}: ${outcome}${time === null ? "" : `, ${time}`}`,
  counting: "counting lines…",
  download: (stream: string) => `Download ${stream}`,
  errorMark: "err",
  firstError: "First error",
  follow: "Follow",
  groupSize: (lines: string, seconds: number | null) =>
    seconds === null || seconds < 0.1 ? lines : `${lines}, ${duration(seconds)}`,
  lastLines: (count: number) =>
    `; the last ${count.toLocaleString("en")} are shown, the download has all`,
  lines: (count: string, running: boolean) => (running ? `${count} so far` : count),
  more: "Output options",
  matchOf: (at: number, count: number, more: boolean) =>
    `${at.toLocaleString("en")} of ${count.toLocaleString("en")}${more ? "+" : ""}`,
  none: { all: "No output", stdout: "No output on stdout", stderr: "No output on stderr" },
  noError: "No error found",
  noMatch: "none",
  nextMatch: "Next match",
  notRunYet: "Not run yet. Command:",
  peak: (size: string) => `peak ${size}`,
  previousMatch: "Previous match",
  search: "Search output",
  stream: "Stream",
  streams: { all: "All", stdout: "stdout", stderr: "stderr" },
  times: "Times",
  toolbar: "Output",
  wrap: "Wrap",
};

export const OVERVIEW = {
  memory: "Most memory",
  ofLimit: (peak: string, limit: string) => `${peak} of ${limit}`,
  peak: "at the peak",
  allCells: (commands: string) => `${commands} in order. Hover for the name, click to open.`,
  allFiles: "All files",
  allSkipped: "All failed commands are skipped.",
  attempt: (number: number) => `attempt ${number}`,
  cells: "Commands by state",
  commands: "Commands",
  commandsByGroup: "Commands by group",
  compared: "Compared with the median",
  downloadFile: (name: string) => `Download ${name}`,
  endsAbout: (time: string, usual: string) => `Ends about ${time}. ${usual}`,
  failed: (count: number) => `${count} failed`,
  files: "Files",
  firstCells: (count: number) =>
    `the first ${count.toLocaleString("en")}; select a subgroup to see the others`,
  launchedAgainFrom: "Launched again from",
  launchedBy: "Launched by",
  launchedByIts: "Launched by its commands",
  line: "line: median",
  longer: (usual: string) => `Takes longer than usual. ${usual}`,
  longestFirst: (commands: string) => `${commands}, longest first`,
  median: (time: string) => `median ${time}`,
  medianOf: (time: string, runs: number) => `Median of ${OVERVIEW.runs(runs)}: ${time}`,
  more: (count: number) => `${count.toLocaleString("en")} more`,
  newestChildren: (count: number) => `the newest ${count}`,
  nodeOf: (path: string, pipeline: string) => `${path} of ${pipeline}`,
  outputOf: (path: string) => `Output of ${path}`,
  progress: (done: number, all: number) =>
    `${done.toLocaleString("en")} of ${all.toLocaleString("en")} commands done`,
  reasons: "Reasons",
  rerunFailed: "Rerun failed",
  rerunReason: (count: number, reason: string) => `Rerun ${count}: ${reason}`,
  rerunThese: (count: number) => `Rerun ${count.toLocaleString("en")}`,
  runningNow: "Running now",
  runs: (count: number) => (count === 1 ? "1 run" : `${count} runs`),
  seenIn: "Seen in",
  slowest: "Slowest nodes",
  timesMedian: (times: number) => `${times.toFixed(1)} × median`,
  topLevel: "top level",
  waiting: "Waiting",
  queued: "queued",
  moreQueued: "more commands are queued",
  watch: "Watch outputs",
};

export const PANES = {
  resize: "Width of the tree",
};

export const PIPELINE_HEADER = {
  program: "Program",
  actions: {
    run: "Run",
    pause: "Pause",
    cancel: "Cancel",
    rerunFailed: "Rerun failed",
    rerunKilled: "Rerun",
    rerunAll: "Rerun all",
    launchAgain: "Launch again",
    sleep: "Sleep",
    wake: "Wake",
    archive: "Archive",
  },
  download: "Download report",
  ended: (time: string) => `, ended ${time}`,
  foreignChange: (owner: string, by: string, change: string, time: string) =>
    `Commands run without the user secrets of ${owner}: ${by} changed this pipeline (${change}, ` +
    `${time}). To run with your own secrets, launch it again.`,
  imageFailed: (names: string) => `Could not build the image ${names}.`,
  imageState: (name: string, state: string) => `image ${name}: ${state}`,
  keys: "Help and keyboard shortcuts",
  more: "More",
  problem: (text: string) => `Paused: ${text}`,
  toolbar: "Pipeline",
};

export const PIPELINE_VIEWS = {
  label: "Pipeline",
  names: {
    overview: "Overview",
    tree: "Tree",
    timeline: "Timeline",
    images: "Images",
    data: "Data",
  },
};

export const SHARE = {
  copied: "Link copied. Members of your organisation can open it",
  download: "Download report",
  link: "link",
  organisation: "Members of your organisation can open this link:",
  others: "For other people, download the report: one HTML file with the tree, times and output.",
  thisMachine: "This pipeline is on your machine, and only your browser there can open this link:",
  title: "Share",
};

export const SKIP_LINK = "Skip to content";

export const STALE = { old: (age: string) => `${age} old` };

const nameOf = (action: string | null) => (action === null ? "your last change" : `“${action}”`);

export const TOASTS = {
  close: "Close message",
  forget: "Stop trying",
  unconfirmed: (action: string | null, server: string) =>
    `Not confirmed: ${server} has not answered to ${nameOf(action)}. Trying again…`,
  undo: "Undo",
  unknown: (action: string | null, server: string) =>
    `It is not known whether ${nameOf(action)} was done. The page asks again as soon as ` +
    `${server} responds; it is done at most once.`,
};

export const TREE = {
  attempt: (number: number) => `attempt ${number}`,
  freshContainer: "each attempt uses a new container",
  hasDoc: "has documentation",
  loading: "loading…",
  loadingMore: (count: number) => `loading ${count.toLocaleString("en")} more…`,
  node: "Node",
  ownContainer: "commands below share one container, one at a time",
  sharedContainer: "shares the container of its group",
  orders: {
    state: "Sort by state, failed first",
    time: "Sort by time, slowest first",
    definition: "Sort as defined",
  },
  sortByTime: "Sort by time",
  time: "Time",
  timeSorted: "Time ↓",
};

export const TREE_PANE = {
  watch: "Watch outputs",
};

export const WATCH = {
  close: (path: string) => `Stop watching ${path}`,
  closeAll: "Close",
  follow: "Follow",
  missing: "Node not found",
  none: "No output yet",
  notStarted: "Not started",
  noCommands: "Select commands to watch their output",
  title: (count: number) => `Watching ${plural(count, "output")}`,
};
