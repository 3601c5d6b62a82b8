/** The texts of the page of notification rules. */

import type { NotificationRule } from "@/api/schema";

type Channel = NotificationRule["channel"];
type Event = NotificationRule["on"][number];

const CHANNELS: Record<Channel, string> = {
  slack: "Slack",
  mail: "Mail",
  webhook: "Webhook",
  github: "Status of a commit",
};

const EVENTS: Record<Event, string> = {
  start: "Start",
  success: "Success",
  failure: "Failure",
  failed_again: "Failed again",
  fixed: "Fixed",
  approval: "Waits for approval",
};

const TO: Record<Channel, string> = {
  slack: "Channel",
  mail: "Address",
  webhook: "URL",
  github: "",
};

const EXAMPLES: Record<Channel, string> = {
  slack: "#builds",
  mail: "ops@example.com",
  webhook: "https://example.com/hook",
  github: "",
};

const HINTS: Record<Channel, string> = {
  slack: "The bot's token is the secret SLACK_TOKEN. Invite the bot to the channel.",
  mail: "The mail server is a setting of the installation or the profile.",
  webhook: "Conducto posts JSON to it.",
  github: "The commit that a git trigger launched the pipeline for gets it.",
};

export const RULES = {
  actions: "Actions",
  add: "Add rule",
  any: "all pipelines",
  channel: "Channel",
  channels: CHANNELS,
  delete: "Remove",
  deleteEffect: "It sends no further notifications.",
  deleteLabel: (name: string) => `Remove ${name}`,
  deleteTitle: (name: string) => `Remove the rule ${name}?`,
  events: EVENTS,
  examples: EXAMPLES,
  help: "Report on pipelines that are launched from now on, without a callback in their scripts.",
  hints: HINTS,
  name: "Name",
  suspended: (owner: string) =>
    `Suspended: ${owner} may not store it any more. It sends nothing until an administrator takes it over.`,
  none: "No notification rules",
  noneHelp: "Add a rule to learn of failed pipelines in Slack, by mail or by a webhook.",
  noEvent: "Choose at least one event.",
  on: "When",
  pipelines: "Pipelines",
  removed: (name: string) => `Removed the rule ${name}`,
  replaces: "A rule of this name is replaced.",
  schedule: "Only of the schedule",
  scheduled: (name: string) => `of the schedule ${name}`,
  secret: "Name of the secret that signs it",
  secretExample: "HOOK_SECRET",
  secretHint: "Without one, the webhook is not signed.",
  sent: (name: string) => `The test message of ${name} was accepted`,
  signed: (name: string) => `signed with ${name}`,
  store: "Store",
  stored: (name: string) => `Stored the rule ${name}`,
  test: "Test",
  testLabel: (name: string) => `Test ${name}`,
  notSent: (name: string, why: string) => `${name} was not sent: ${why}`,
  title: "Notifications",
  titled: (name: string) => `titled “${name}”`,
  titleFilter: "Only with the title",
  titleHint: "* stands for any text.",
  to: "To",
  toLabels: TO,
};
