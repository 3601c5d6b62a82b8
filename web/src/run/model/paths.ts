/** Paths of nodes: `/` is the root, `/a/b` a node two levels down. */

export const ROOT = "/";

/** The path of a node's parent; null for the root. */
export function parentOf(path: string): string | null {
  if (path === ROOT) return null;
  const slash = path.lastIndexOf("/");
  return slash === 0 ? ROOT : path.slice(0, slash);
}

/** The last part of a path; `/` for the root. */
export function nameOf(path: string): string {
  return path === ROOT ? ROOT : path.slice(path.lastIndexOf("/") + 1);
}

/** Number of ancestors. */
export function depthOf(path: string): number {
  if (path === ROOT) return 0;
  let depth = 0;
  for (const letter of path) if (letter === "/") depth += 1;
  return depth;
}

/** Paths of a node's ancestors, from the root down. */
export function ancestorsOf(path: string): string[] {
  const found: string[] = [];
  for (let above = parentOf(path); above !== null; above = parentOf(above)) found.unshift(above);
  return found;
}

/** Whether `path` is `root` or below it. */
export function isWithin(path: string, root: string): boolean {
  return root === ROOT || path === root || path.startsWith(`${root}/`);
}

/** Paths start with a slash and names are never empty, so `//` separates two paths. */
const SEPARATOR = "//";

/** Paths as one query parameter; null for none. */
export function pathsText(paths: readonly string[]): string | null {
  return paths.length === 0 ? null : `/${paths.map((path) => path.slice(1)).join(SEPARATOR)}`;
}

/** The paths in a query parameter, each once. */
export function pathsFrom(text: string | null): string[] {
  if (text === null || text === "") return [];
  return [...new Set(text.slice(1).split(SEPARATOR))].map((path) => `/${path}`);
}
