import { useEffect } from "react";

import { setTitle } from "@/lib/titleBadge";

/** Set the title of the browser tab. */
export function useTitle(title: string): void {
  useEffect(() => setTitle(`${title} · Conducto`), [title]);
}
