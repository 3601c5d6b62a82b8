/** The texts of a node's files. */

export const FILES = {
  actions: "Actions",
  download: (name: string) => `Download ${name}`,
  file: "File",
  modified: "Modified",
  modifiedDuring: "Data files of the pipeline last modified during attempt ",
  noFiles: "No files",
  noFilesYet: "No files yet",
  noneChecked: "Of the files that were checked, none was last modified during this attempt.",
  noneHelp: "No data file of the pipeline was last modified during this attempt.",
  notAllChecked: " Not all files could be checked.",
  notRunYet: "Not run yet",
  othersToo: ". Other commands that ran at the same time may have written them.",
  size: "Size",
};
