/** The texts of costs. */

import { plural } from "@/lib/time";

export const COST = {
  byMonth: "By month",
  byPipeline: "By pipeline",
  byProgram: "By program",
  commandCount: "Commands",
  cost: "Cost",
  counted: (running: number) =>
    running === 0
      ? "so far"
      : `so far; ${plural(running, "running command")} ${running === 1 ? "counts" : "count"} at the end`,
  deleted: "deleted",
  kinds: {
    commands: "Commands",
    workers: "Workers",
    idle: "Idle workers",
    requests: "Requests",
    transitions: "State transitions",
    storage: "Storage",
  },
  kindHelp: {
    commands: "Workers while commands ran",
    workers: "Workers from the pull of their image to their stop",
    idle: "Workers while they started, waited or were lost",
    requests: "Calls of the API and the table, estimated",
    transitions: "Steps of Step Functions, estimated",
    storage: "Files, output and records, measured once a day",
  },
  local: "Pipelines on your own machines cost nothing and are not listed.",
  month: "Month",
  moreNodes: (count: number) => `${count.toLocaleString("en")} more`,
  nodes: "Most expensive nodes",
  aws: "AWS",
  price: "Price",
  paid: (price: string) => `${price} on the bill of the organisation, for workers`,
  notIncluded:
    "Not included: data of users, images and their builds, logs of functions, traffic, backups and tax.",
  noUsage: "Nothing ran in the cloud yet",
  noUsageHelp: "Costs appear here when the first command of a cloud pipeline has ended.",
  otherPipelines: (count: number) => plural(count, "other pipeline"),
  otherPrograms: (count: number) => plural(count, "other program"),
  pipeline: "Pipeline",
  pipelines: "Pipelines",
  prices: (region: string, date: string) =>
    `Computed from Conducto's records at the prices of ${region} as of ${date}. AWS's bill is authoritative.`,
  program: "Program",
  stored: (objects: string, files: string) => `${files} of files, ${objects} of output`,
  thisMonth: (month: string) => `${month} so far`,
  time: "Worker time",
  title: "Usage",
  untitled: "Untitled",
};
