import { useEffect, useState, type ReactNode } from "react";

import { lazily } from "@/components/lazily";

const Palette = lazily(async () => (await import("@/app/Palette")).Palette, { placeholder: null });

/** The command palette, which Ctrl-K or ⌘K opens anywhere, and a function that opens it. */
export function usePalette(path: string): [ReactNode, () => void] {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isShortcut = event.key === "k" && (event.ctrlKey || event.metaKey);
      // A shell uses Ctrl-K itself.
      if (!isShortcut || event.altKey || event.shiftKey || event.defaultPrevented) return;
      if (document.querySelector("dialog[open], [role=menu]") !== null) return;
      event.preventDefault();
      setOpen(true);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  const palette = isOpen ? <Palette path={path} onClose={() => setOpen(false)} /> : null;
  return [palette, () => setOpen(true)];
}
