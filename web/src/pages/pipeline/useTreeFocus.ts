import { useEffect } from "react";

/** Focus the tree if it is visible, otherwise the node, unless something else has the focus. */
export function focusTree(): void {
  const tree = document.querySelector<HTMLElement>("[role=tree], [role=listbox]");
  const pane = document.querySelector<HTMLElement>("[data-node-pane]");
  const target = tree?.checkVisibility() === true ? tree : pane;
  // A ring around the row would be the loudest part of a page that has just opened.
  target?.focus({ preventScroll: true, focusVisible: false } as FocusOptions);
}

/**
 * Focus the tree when the page is loaded, when a dialog was closed and when the results of a search
 * replace the tree or the reverse, unless a control has the focus.
 */
export function useTreeFocus(isDialogOpen: boolean, searching = false): void {
  useEffect(() => {
    if (isDialogOpen) return;
    if (document.activeElement === null || document.activeElement === document.body) focusTree();
  }, [isDialogOpen, searching]);
}
