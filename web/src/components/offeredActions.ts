/** The actions of the open node, which the command palette offers too. */

import { useEffect } from "react";

import type { MenuEntry } from "@/components/MenuContent";

let offered: readonly MenuEntry[] = [];

/** Offer actions as long as the component exists. */
export function useOfferedActions(entries: readonly MenuEntry[]): void {
  useEffect(() => {
    offered = entries;
    return () => {
      offered = [];
    };
  });
}

export function offeredActions(): readonly MenuEntry[] {
  return offered;
}
