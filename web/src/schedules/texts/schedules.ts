/** The texts of the pages of schedules. */

import type { FiringCause, FiringState } from "@/api/schema";

const CAUSES: Record<FiringCause, string> = {
  schedule: "on time",
  catch_up: "caught up",
  backfill: "backfill",
  manual: "by hand",
  chain: "after a pipeline",
};

const STATES: Record<FiringState, string> = {
  pending: "Pending",
  queued: "Queued",
  launched: "Launched",
  skipped: "Skipped",
  missed: "Missed",
  failed: "Failed",
};

const ENDS = { done: "is done", failed: "failed", any: "ended" };

export const SCHEDULES = {
  after: (name: string, state: keyof typeof ENDS) => `After “${name}” ${ENDS[state]}`,
  back: "All schedules",
  cause: "Cause",
  causes: CAUSES,
  copyOf: "A copy of",
  create: "Create",
  created: (name: string) => `Created the schedule ${name}`,
  createTitle: "Schedule this pipeline",
  cron: "Cron expression",
  cronHelp: "Minute, hour, day of the month, month, day of the week",
  delete: "Delete",
  deleteEffect: "Its history is deleted, its pipelines are kept.",
  deleteTitle: (name: string) => `Delete the schedule ${name}?`,
  due: "Due",
  fire: "Fire now",
  fired: (pipeline: string) => `Launched ${pipeline}`,
  firings: "Firings",
  help: "Launch pipelines at given times, or when other pipelines end.",
  last: "Last firing",
  launches: "Launches",
  more: "Show older firings",
  name: "Name",
  next: "Next",
  nextTimes: "Next five times",
  none: "No schedules",
  noneHelp: "Open a finished pipeline and select Schedule, or use the command line:",
  noneCommand: 'conducto schedule add nightly --cron "30 2 * * 1-5" --pipeline ID',
  noFirings: "It has not fired yet.",
  overlap: "While its last pipeline runs",
  overlaps: {
    skip: "Skip the firing",
    queue: "Wait for its end",
    replace: "Cancel it",
    allow: "Launch anyway",
  },
  pause: "Pause",
  paused: "Paused",
  pipeline: "Pipeline",
  reason: "Reason",
  resume: "Resume",
  script: "Script",
  state: "State",
  states: STATES,
  template: "A copy of this pipeline",
  title: "Schedules",
  until: (first: string, last: string) => `${first} to ${last}`,
  what: "What to launch",
  when: "When",
  zone: "Time zone",
};
