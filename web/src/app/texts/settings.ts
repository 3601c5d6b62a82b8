/** The texts of the page "settings". */

export const SETTINGS = {
  confirm: "Confirm every action",
  confirmHelp: "Otherwise only actions that affect several commands or kill running ones.",
  exact: "Show absolute instead of relative times",
  help: "Settings are stored in this browser.",
  keys: "Single-key shortcuts",
  keysHelp: " for Rerun. Turn this off if you press them by accident.",
  keysSuchAs: "Keys such as ",
  notify: "Notify me when a pipeline finishes",
  notifyBlocked: "This browser blocks notifications. Allow them for this site, then try again.",
  notifyHelp: "For pipelines that are not in view, while a tab of this app is open.",
  now: (now: string) => `Now: ${now}`,
  shortcuts: "Keyboard shortcuts of the pipeline page",
  theme: "Theme",
  title: "Settings",
  utc: "Show times in UTC",
  utcHelp: "Otherwise in local time. ",
  wrap: "Wrap long lines of output",
  wrapHelp: "Otherwise they scroll sideways.",
};
