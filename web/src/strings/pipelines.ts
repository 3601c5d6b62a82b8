/** The texts of the list of pipelines. */

export const LIST = {
  alsoView: "You can also view ",
  archivedPipelines: "archived pipelines",
  clear: "Clear",
  command: "command",
  firstStep: "A pipeline is a Python script. Save this as ",
  none: "No pipelines yet",
  script: "script",
  secondStep: "Then launch it. It appears here automatically.",
  selected: (count: string) => `${count} selected`,
  selectedPipelines: "Selected pipelines",
};
