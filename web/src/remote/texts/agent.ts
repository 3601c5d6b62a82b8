/** The texts of the page "agent". */

export const AGENT = {
  activePipelines: "Active pipelines",
  cancel: "Cancel",
  cleanUp: "Clean up",
  cleanUpEffect:
    "Delete idle containers, images that no pipeline uses, and files of deleted pipelines. Images are rebuilt if they are needed again.",
  close: "Close",
  copy: (command: string) => `Copy ${command}`,
  deleting: "Deleting…",
  kept: (note: string) => ` kept: ${note}`,
  kind: "Kind",
  name: "Name",
  noneActive: "No active pipelines.",
  noneRunning: "No commands are running.",
  notResponding: "Not responding. Showing the last known status.",
  nothingToCleanUp: "There is nothing to clean up.",
  running: "Running",
  size: "Size",
  startsAgain: ", starts the agent. Pipelines that are not paused then continue.",
  status: "Status",
  stop: "Stop",
  stopAction: "Stop the agent",
  stopEffect:
    "Containers are removed; pipelines, output and data are kept. The agent serves this page, which reconnects when the next command, such as ",
  stopTitle: "Stop the agent?",
  terminal: "In a terminal",
  title: "Agent",
  unneededItems: "Unneeded items",
};
