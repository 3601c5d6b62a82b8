import { useState, type KeyboardEvent } from "react";

import { stored } from "@/lib/stored";
import { moveShare, parseShare } from "@/run/model/split";

const STORED = "conducto.tree-width";

/** The share of the tree in percent, which the browser remembers. */
export function useSplit() {
  const [share, set] = useState(() => parseShare(stored.getItem(STORED)));
  const setShare = (next: number) => {
    set(next);
    stored.setItem(STORED, String(next));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const next = moveShare(share, event.key);
    if (next === null) return;
    event.preventDefault();
    event.stopPropagation(); // the arrow keys also move in the tree
    setShare(next);
  };
  return { share, setShare, onKeyDown };
}
