/**
 * The texts of the app, ready for translation: one object for each component or page, in
 * alphabetical order. A text with values is a function.
 */

export const NAVIGATION = {
  label: "Pages",
  home: "All pipelines",
  theme: (name: string) => `Theme: ${name}`,
  pipelines: "Pipelines",
  data: "Data",
  secrets: "Secrets",
  agent: "Agent",
  account: "Account",
  settings: "Settings",
};

export const TOASTS = {
  close: "Close message",
  undo: "Undo",
};
