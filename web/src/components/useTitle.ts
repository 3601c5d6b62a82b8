import { useEffect } from "react";

/** Set the title of the browser tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Conducto`;
  }, [title]);
}
