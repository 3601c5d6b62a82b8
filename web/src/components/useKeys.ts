import { useEffect, useRef } from "react";

import { currentSettings } from "@/lib/settings";

/** Where a key is text, or belongs to something that is open. */
const FIELDS = "input, textarea, select, dialog, [role=menu]";

/** Keys of the page, except in fields, dialogs and menus. */
export function useKeys(keys: Readonly<Record<string, () => void>>): void {
  const newest = useRef(keys);
  useEffect(() => {
    newest.current = keys;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const { key, target, ctrlKey, metaKey, altKey, defaultPrevented } = event;
      if (ctrlKey || metaKey || altKey || defaultPrevented || !currentSettings().keys) return;
      if (target instanceof Element && target.closest(FIELDS) !== null) return;
      const work = newest.current[key];
      if (work === undefined || document.querySelector("dialog[open]") !== null) return;
      event.preventDefault();
      work();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
