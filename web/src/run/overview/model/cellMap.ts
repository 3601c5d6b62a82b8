/** Splits the states of the commands below a group by its children. */

export interface CellGroup {
  name: string;
  /** Index of its first command, and number of its commands. */
  from: number;
  count: number;
}

/** More groups than this do not fit; one map is drawn instead. */
const MAX_GROUPS = 30;
const MAX_DEPTH = 3;

/**
 * The commands of a group by the deepest level with few groups. Null if a single map says as much:
 * without groups, or with too many.
 */
export function cellGroups(names: readonly string[]): CellGroup[] | null {
  const depth = depthOfGroups(names);
  if (depth === null) return null;
  const groups: CellGroup[] = [];
  for (const [from, name] of names.entries()) {
    const group = name.split("/", depth).join("/");
    const last = groups.at(-1);
    if (last?.name === group) last.count += 1;
    else groups.push({ name: group, from, count: 1 });
  }
  return groups.length < 2 || groups.length > MAX_GROUPS ? null : groups;
}

/** Number of failed commands among states as in the API, one letter for each command. */
export function failedIn(states: string): number {
  let failed = 0;
  for (const state of states) if (state === "E" || state === "K") failed += 1;
  return failed;
}

/** The deepest number of path parts with few enough groups, of commands that lie below them. */
function depthOfGroups(names: readonly string[]): number | null {
  let found: number | null = null;
  for (let depth = 1; depth <= MAX_DEPTH; depth += 1) {
    const groups = new Set<string>();
    let below = 0;
    for (const name of names) {
      const parts = name.split("/");
      if (parts.length > depth) below += 1;
      groups.add(parts.slice(0, depth).join("/"));
      if (groups.size > MAX_GROUPS) return found;
    }
    if (below < names.length / 2) return found;
    if (groups.size > 1) found = depth;
  }
  return found;
}
