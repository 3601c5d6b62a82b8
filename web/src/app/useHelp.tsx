import { useEffect, type ReactNode } from "react";

import { showHelp, useHelpOpen } from "@/components/help";
import { lazily } from "@/components/lazily";
import { currentSettings } from "@/lib/settings";

const HelpDialog = lazily(async () => (await import("@/components/HelpDialog")).HelpDialog, {
  placeholder: null,
});

/** Where a question mark is text, or belongs to something that is open. */
const TYPING = "input:not([type=checkbox]), textarea, select, dialog, [role=menu]";

/** The help about a page, which `?` opens. */
export function useHelp(path: string): ReactNode {
  const open = useHelpOpen();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.defaultPrevented || !currentSettings().keys) return;
      if (event.target instanceof Element && event.target.closest(TYPING) !== null) return;
      event.preventDefault();
      showHelp(true);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return open ? <HelpDialog path={path} onClose={() => showHelp(false)} /> : null;
}
