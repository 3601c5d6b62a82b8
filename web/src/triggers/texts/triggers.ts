/** The texts of the pages of git triggers. */

import type { Delivery, GitEvent, TriggerRequest } from "@/api/schema";

const EVENTS: Record<GitEvent["kind"], string> = {
  pr: "Pull request",
  push: "Push",
  "create-branch": "New branch",
  "delete-branch": "Deleted branch",
  "create-tag": "New tag",
  "delete-tag": "Deleted tag",
  cron: "Schedule",
};

const RESULTS: Record<Delivery["result"], string> = {
  received: "Received",
  launched: "Launched",
  skipped: "Skipped",
  failed: "Failed",
  deferred: "Deferred",
  queued: "Waits for the plan",
  "waiting for approval": "Waits for approval",
};

const PROVIDERS: Record<TriggerRequest["provider"], string> = {
  github: "GitHub",
  gitlab: "GitLab",
  generic: "Another sender",
};

const FORKS: Record<TriggerRequest["forks"], string> = {
  ignore: "Ignored",
  approve: "Launched after an approval, without secrets",
};

export const TRIGGERS = {
  access: "Access",
  accesses: {
    app: "GitHub App",
    token: "Token and webhook",
  },
  accessOf: (app: boolean, token: boolean) =>
    app ? "GitHub App" : token ? "Token" : "Public only",
  add: "Add trigger",
  api: "Address of the API",
  apiHint: "Only for a server that has it at an unusual place.",
  appAt: "GitHub App",
  appHelp: "It needs no token of a person. An administrator creates it with the command line:",
  appInstall: "Give it repositories",
  appOf: (slug: string) => `The GitHub App ${slug} sends webhooks and gives tokens.`,
  appCommand: "conducto trigger github-app create",
  approve: "Approve",
  approveEffect:
    "Its commands run without secrets, user data and shells. Read the changes first: " +
    "they use the plan's minutes, and a command can do anything else.",
  approveLabel: (branch: string) => `Approve ${branch}`,
  approveTitle: (number: string) => `Launch pull request #${number} from a fork?`,
  back: "All triggers",
  branch: "Branch",
  close: "Close",
  command: "Command",
  commandHint: "Prints a serialised tree, such as python pipeline.py {branch}.",
  delete: "Delete",
  deleteEffect: "Its webhook is rejected from now on. Its pipelines are kept.",
  deleteTitle: (name: string) => `Delete the trigger ${name}?`,
  deliveries: "Deliveries",
  event: "Event",
  events: EVENTS,
  forks: "Pull requests from forks",
  forkBy: (user: string) => `from a fork, by ${user}`,
  fork: "from a fork",
  forkOptions: FORKS,
  help: "Launch pipelines when something happens in a git repository, by its file",
  last: "Last delivery",
  launched: (pipeline: string) => `Launched ${pipeline}`,
  name: "Name",
  noDeliveries: "No webhook has arrived yet. Create it at the provider, and push a commit.",
  noDeliveriesOfApp: "No webhook has arrived yet. Push a commit.",
  none: "No triggers",
  noneHelp: "Add a repository. Its pushes and pull requests launch what its file says:",
  noneFile: ".conducto.cfg",
  noneExample: "[push main]\ncommand = python pipeline.py\nfilter = {branch} == main",
  owner: "Owner",
  pipeline: "Pipeline",
  provider: "Provider",
  providers: PROVIDERS,
  reason: "Reason",
  replaces: "The trigger of this name is replaced.",
  repository: "Repository",
  repositoryExample: "https://github.com/acme/app",
  result: "Result",
  results: RESULTS,
  stored: (name: string) => `Stored the trigger ${name}`,
  storedTitle: (name: string) => `Create a webhook for ${name}`,
  suspended: "Suspended",
  suspendedOf: (owner: string) =>
    `Suspended: ${owner} may not store it any more. Its webhooks launch nothing until an ` +
    "administrator takes it over, or stores it again with another token.",
  submodules: (urls: readonly string[]) => `also for the submodules ${urls.join(", ")}`,
  test: "Test",
  testButton: "Test without launching",
  testHelp: "Read the file of the newest commit, and show what a push would launch.",
  testLaunches: (section: string, commit: string) =>
    commit === "" ? `[${section}] would launch:` : `[${section}] would launch at ${commit}:`,
  testLaunchesNothing: (reason: string) => `Nothing would be launched: ${reason}`,
  time: "Time",
  title: "Triggers",
  token: "Token",
  tokenHint: "It must read the repository and set commit statuses. It is never shown again.",
  webhookAddress: "Address of the webhook",
  webhookEvents:
    "Events: pushes, pull requests, branches and tags. Content type: application/json.",
  webhookSecret: "Secret of the webhook",
  webhookSecretHint: "It is shown once.",
};
