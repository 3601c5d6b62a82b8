/**
 * The texts of the app, ready for translation: one object for each component or page, in
 * alphabetical order. A text with values is a function.
 */

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

export const METRIC_COMPARISON = {
  title: "Compared with earlier pipelines",
  values: (name: string) => `Last values of ${name}`,
};

export const NAVIGATION = {
  label: "Pages",
  home: "All pipelines",
  theme: (name: string) => `Theme: ${name}`,
  pipelines: "Pipelines",
  data: "Data",
  secrets: "Secrets",
  agent: "Agent",
  account: "Account",
  settings: "Settings",
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

export const SAVED_FILTERS = {
  title: "Saved filters",
  save: "Save this filter",
  saveAction: "Save",
  name: "Name",
  remove: (name: string) => `Remove the filter ${name}`,
};

export const TOASTS = {
  close: "Close message",
  undo: "Undo",
};
