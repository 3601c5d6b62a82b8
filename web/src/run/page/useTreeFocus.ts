import { useEffect } from "react";

/** Focus the tree if it is visible, otherwise the node, unless something else has the focus. */
export function focusTree(): void {
  const tree = document.querySelector<HTMLElement>("[role=tree], [role=listbox]");
  const pane = document.querySelector<HTMLElement>("[data-node-pane]");
  const target = tree?.checkVisibility() === true ? tree : pane;
  target?.focus({ preventScroll: true });
}

function showRings(): void {
  document.querySelectorAll<HTMLElement>("[data-quiet]").forEach((one) => delete one.dataset.quiet);
}

/** Hide the ring around the row until a key is pressed: the page has only just opened. */
function hideRing(): void {
  const focused = document.activeElement;
  if (!(focused instanceof HTMLElement)) return;
  focused.dataset.quiet = "";
  // One listener for all pages, which refers to no element: those of earlier pages are freed.
  document.addEventListener("keydown", showRings, { once: true });
}

/**
 * Focus the tree when the page is loaded, when a dialog was closed and when the results of a search
 * replace the tree or the reverse, unless a control has the focus.
 */
export function useTreeFocus(isDialogOpen: boolean, searching = false): void {
  useEffect(() => {
    if (isDialogOpen) return;
    if (document.activeElement !== null && document.activeElement !== document.body) return;
    focusTree();
    hideRing();
  }, [isDialogOpen, searching]);
}
