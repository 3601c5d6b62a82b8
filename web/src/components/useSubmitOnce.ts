import { useLayoutEffect, useRef } from "react";

/**
 * Returns a function that submits a form unless it is being sent. The second click of a double
 * click can arrive before the form is rendered as `pending`.
 */
export function useSubmitOnce(pending: boolean): (submit: () => void) => void {
  const sent = useRef(false);
  // Before any further event: the Enter key may follow the last character at once.
  useLayoutEffect(() => {
    sent.current = pending;
  });
  return (submit) => {
    if (sent.current) return;
    sent.current = true;
    submit();
  };
}
