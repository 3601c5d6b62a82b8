/** The form that launches a program again. */

import { plural } from "@/lib/time";

export const LAUNCH = {
  addItem: "Add an item",
  building: (time: string) => `Building the tree… ${time}`,
  cancel: "Cancel",
  cancelled: "Cancelled. No pipeline was launched.",
  changed: "changed",
  changes: (id: string) => `Changes since ${id}`,
  choose: "Choose a value",
  commandLine: (id: string) => `Command line of ${id}`,
  commands: (count: number) => plural(count, "command"),
  copyCommand: "Copy the command line",
  default: (word: string) => `Default: ${word}.`,
  empty: "empty",
  emptyItem: "(empty)",
  failed: "The script failed",
  fix: (count: number) => `Fix ${plural(count, "field")}`,
  heading: "Launch again",
  inCloud: (price: string) => `about ${price} in the cloud; free on this machine`,
  known: (known: number, all: number) =>
    `Times of ${known.toLocaleString("en")} of ${plural(all, "command")} are known from earlier pipelines.`,
  launch: "Launch",
  launchSame: "Launch the same tree",
  launched: (title: string) => `Launched: ${title}`,
  launching: "Launching…",
  noChanges: "No value has changed.",
  noParameters: "The function has no parameters.",
  off: "Off",
  on: "On",
  optional: "optional",
  outdated: "The plan is for other values.",
  output: "Output of the script",
  parameters: "Parameters",
  parametersOf: (function_: string, script: string) => `of ${function_}(), ${script}`,
  plan: "Plan",
  planAction: "Show the plan",
  planHint: "Runs the script to count its commands. Nothing is launched.",
  planning: "Planning…",
  removeItem: (item: string) => `Remove ${item}`,
  required: "required",
  run: "Run",
  sameHint:
    "The same tree and parameters, without running the script: for a script that was deleted or has changed.",
  scriptChanged:
    "The script has changed since this pipeline was launched. If its parameters changed, too, it reports an error.",
  secrets: (names: string) =>
    `Without a field, because values of secrets are not stored: ${names}.`,
  startAtOnce: "Start at once",
  title: "Title",
  titleHint: "The script's own",
  unavailable: (reason: string) => `Parameters cannot be changed here: ${reason}.`,
  values: "More values",
  withSame: "It is launched with the same values:",
};

/** The form that launches from a Git repository. */
export const GIT_LAUNCH = {
  cloneStep: (ref: string) =>
    ref === ""
      ? "The installation clones the default branch."
      : `The installation clones the repository at ${ref}.`,
  environment: "Environment of the script",
  fields: {
    url: {
      label: "Repository",
      hint: "https://github.com/acme/app",
      help: "The address from which you clone it.",
    },
    ref: {
      label: "Branch, tag or commit",
      hint: "default branch",
      help: "A commit needs its full hash.",
    },
    script: {
      label: "Script",
      help: "The path of the Python script in the repository.",
    },
    line: {
      label: "Function and parameters",
      hint: "nightly --depth=3",
      help: "As on the command line, after the script. Empty: the script's default.",
    },
    image: {
      label: "Image",
      help: "Needs Python and the packages that the script imports. Conducto is added.",
    },
  },
  heading: "Launch from Git",
  needsImage: "enter an image",
  needsUrl: "enter the address of a repository",
  noCredentials: "leave out the user name and password; see Private repositories",
  noRef: "is not the name of a branch or tag",
  noScript: "must be the path of a .py file in the repository, such as ci/pipeline.py",
  noUrl: "must be an address such as https://github.com/acme/app",
  openQuote: "a quotation mark is not closed",
  otherParameters: "To change parameters, the branch or the commit, launch its script from Git.",
  private: "Private repositories",
  privateHelp:
    "Store a token that may read the repository as your secret GITHUB_TOKEN or GITLAB_TOKEN. Other servers need a git trigger with a token.",
  repository: "Repository",
  runStep: "The tree runs, as after a launch from a terminal.",
  scriptStep: "The script builds the tree:",
  secrets: "Open secrets",
  steps: "Steps",
};

/** Reasons why a value of a parameter is rejected. */
export const PARAMETERS = {
  boolean: "must be true or false",
  choice: (choices: string) => `must be one of ${choices}`,
  date: "must be a date such as 2026-01-31",
  dateTime: "must be a date and time such as 2026-01-31T18:30",
  duration: "must be a duration such as 90s or 1h30m",
  integer: "must be a whole number",
  item: (place: number, reason: string) => `item ${place} ${reason}`,
  none: "must be None",
  number: "must be a number",
  required: "needs a value",
  time: "must be a time such as 18:30",
};
