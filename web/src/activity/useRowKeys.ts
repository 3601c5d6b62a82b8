import { useKeys } from "@/components/useKeys";
import { navigate } from "@/lib/location";

/** Marks rows, and in them the elements that keys press. */
const ROW = "[data-row]";
const APPROVAL = "[data-approval]";
const KILL = "[data-kill]";

/**
 * Keys of the rows: arrows go to a row, and Enter opens it, because its link has the focus. The
 * other keys act on that row, or for an approval on the first row with one.
 */
export function useRowKeys(): void {
  useKeys({
    ArrowDown: () => go(1),
    ArrowUp: () => go(-1),
    o: () => {
      const node = current()?.querySelector<HTMLAnchorElement>("a");
      if (node !== null && node !== undefined)
        navigate(`${node.pathname}${node.search}&tab=output`);
    },
    k: () => current()?.querySelector<HTMLElement>(KILL)?.click(),
    a: () => (current()?.querySelector<HTMLElement>(APPROVAL) ?? first(APPROVAL))?.click(),
  });
}

/** The row that has the focus. */
function current(): HTMLElement | null {
  return document.activeElement?.closest<HTMLElement>(ROW) ?? null;
}

function first(selector: string): HTMLElement | null {
  return document.querySelector<HTMLElement>(selector);
}

function go(step: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>(ROW)];
  const row = current();
  const at = row === null ? -1 : rows.indexOf(row);
  const next = row === null && step < 0 ? rows.at(-1) : rows[at + step];
  next?.querySelector<HTMLElement>("a, button")?.focus();
}
