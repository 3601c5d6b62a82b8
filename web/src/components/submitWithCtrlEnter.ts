import type { KeyboardEvent } from "react";

/** Submit a form with Ctrl or Cmd and Enter, from every field of it. */
export function submitWithCtrlEnter(event: KeyboardEvent<HTMLFormElement>): void {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  event.currentTarget.requestSubmit();
}
