/** The texts of the pane of a node. */

export const NODE = {
  close: "Close",
  emptyReport: "Empty report.",
  filesIn: (reports: string) => `files in ${reports}/`,
  firstBytes: (size: string, size2: string) =>
    `Showing the first ${size} of ${size2}; open the file to see the rest.`,
  loading: "Loading…",
  moreReports: "For the others, see the ",
  notFound: (path: string) => `Node ${path} not found`,
  notFoundHelp: "It may appear after a Lazy has generated its tree.",
  notifications: "Notifications",
  open: "Open",
  reports: "Reports",
  reportsFailed: (error: string) => `Could not list reports: ${error}`,
  tried: (count: string) => `, tried ${count}`,
  written: (modified: string) => `Written ${modified}`,
};
