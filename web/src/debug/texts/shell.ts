/** The texts of the debug shell. */

export const SHELL = {
  close: "Close",
  endShell: "End shell",
  lostMessage: "the installation did not handle a message",
  leaveHint: " to leave the terminal",
  reconnect: "Reconnect",
  screenReader: "Screen reader",
  screenReaderHint: "Make the output readable for screen readers",
  shellIn: (path: string) => `Shell in ${path}`,
};
