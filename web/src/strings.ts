/**
 * The texts of the app, ready for translation: one object for each component or page, in
 * alphabetical order. A text with values is a function.
 */

export const TOASTS = {
  close: "Close message",
  undo: "Undo",
};
