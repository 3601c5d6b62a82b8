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

export const IMAGES = {
  none: "This pipeline has no images",
  plainProcesses: "Its commands run as plain processes on this machine.",
  rebuildAndRerun: (count: number) => `Rebuild and rerun ${plural(count, "command")}`,
  rebuilding: (image: string, count: number) =>
    `Rebuilding ${image} and rerunning ${plural(count, "command")}`,
  unused: "None of its commands uses an image.",
};

export const LOG = { link: "Link to this line; with Shift to a range" };

export const METRIC_COMPARISON = {
  title: "Compared with earlier pipelines",
  values: (name: string) => `Last values of ${name}`,
};

export const NAVIGATION = {
  label: "Pages",
  home: "All pipelines",
  search: "Search",
  theme: (name: string) => `Theme: ${name}`,
  pipelines: "Pipelines",
  data: "Data",
  secrets: "Secrets",
  agent: "Agent",
  account: "Account",
  organisation: "Organisation",
  settings: "Settings",
};

export const NODE_HEADER = {
  actions: "Actions",
  back: "Back to the tree",
  copied: (text: string) => `Copied: ${text}`,
  copyPath: "Copy path",
  debug: "Debug",
  kill: "Kill",
  modify: "Modify",
  more: "Node actions",
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
  starts: "starts it.",
  text: (server: string) =>
    `Offline: ${server} does not respond. Showing the last known state; the page reconnects ` +
    "automatically.",
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

export const OUTPUT_SEARCH = {
  errorMark: "err",
  failed: "Failed only",
  found: (lines: number, nodes: number) =>
    lines === 0 ? "No matching lines" : `${plural(lines, "line")} in ${plural(nodes, "node")}`,
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
  watch: "Watch outputs",
};

export const PANES = {
  resize: "Width of the tree",
};

export const PIPELINES = {
  title: "Pipelines",
  search: "Search pipelines",
  searchHint: "Title, id, tag or program",
  state: "State",
  anyState: "All",
  owner: "Owner",
  anyone: "Anyone",
  launched: "Launched",
  anyTime: "Any time",
  periods: { "1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days" },
  lifecycle: "Lifecycle",
  lifecycles: {
    listed: "Not archived",
    active: "Active",
    sleeping: "Sleeping",
    archived: "Archived",
    all: "All, with archived",
  },
  removeTag: (tag: string) => `Remove the filter for tag ${tag}`,
  filterByTag: (tag: string) => `Show pipelines with tag ${tag}`,
  noMatch: "No matching pipelines",
  clearFilters: "Clear filters",
  selectAll: "Select all",
  select: (title: string, id: string) => `Select ${title} ${id}`,
  recentRuns: (text: string) => `Recent runs: ${text}`,
  earlier: (count: number) => `${count.toLocaleString("en")} earlier`,
  loadOlder: "Load older pipelines",
  loadingOlder: "Loading older pipelines…",
  local: (engine: string) => `On this machine, ${engine}`,
  cloud: "In the cloud",
  lifecycleNote: { sleeping: "sleeping", archived: "archived" },
  problem: (text: string) => `Paused: ${text}`,
  run: "Run",
  rerunFailed: "Rerun failed",
  cancel: "Cancel",
  cancelTitle: (title: string) => `Cancel ${title}?`,
  cancelEffect: (running: string) =>
    `${running} will be killed, and no others start. Finished commands keep their results. Run resumes the rest later.`,
  keepRunning: "Keep running",
  rerunTitle: (count: string) => `Rerun ${count}?`,
  alsoRuns: (count: string) => `The pipeline is paused. ${count} will also run.`,
  started: (what: string, title: string) => `${what}: ${title}`,
};

export const PIPELINE_HEADER = {
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
  keys: "Keyboard shortcuts",
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

export const SAVED_FILTERS = {
  title: "Saved filters",
  save: "Save this filter",
  saveAction: "Save",
  name: "Name",
  remove: (name: string) => `Remove the filter ${name}`,
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
    start: "container",
    unknown: "wait",
  },
};

export const TOASTS = {
  close: "Close message",
  undo: "Undo",
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

export const PALETTE = {
  title: "Command palette",
  hint: "Pipelines, nodes, actions and pages",
  results: "Results",
  none: "Nothing found",
  sections: { nodes: "Nodes", actions: "This pipeline", pipelines: "Pipelines", pages: "Pages" },
  tree: "Show the tree",
  timeline: "Show the timeline",
  images: "Show images",
  data: "Show data",
  run: "Run this pipeline",
  running: "Running",
  pause: "Pause this pipeline",
  paused: "Paused. Running commands will finish; no new ones start",
};

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
  noFlaky: (count: number) =>
    `No node had different outcomes in the last ${plural(count, "pipeline")}.`,
  lastPipelines: (count: number) => `last ${plural(count, "pipeline")}`,
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
