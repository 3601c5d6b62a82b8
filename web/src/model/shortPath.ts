/** Shortens long paths in the middle, never at the leaf. */

/** `/a/b/c/d` as `a/…/d`, if it has more than `max` characters. */
export function shortPath(path: string, max: number): string {
  const parts = path.split("/").filter((part) => part !== "");
  const leaf = parts.pop() ?? "";
  for (let kept = parts.length; kept > 0; kept -= 1) {
    const head = parts.slice(0, Math.ceil(kept / 2));
    const tail = parts.slice(parts.length - Math.floor(kept / 2));
    const middle = kept < parts.length ? ["…"] : [];
    const text = [...head, ...middle, ...tail, leaf].join("/");
    if (text.length <= max) return text;
  }
  return parts.length === 0 ? leaf : `…/${leaf}`;
}
