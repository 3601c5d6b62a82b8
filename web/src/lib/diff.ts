/** Line diff (Myers). */

export interface Edit {
  kind: "same" | "old" | "new";
  line: string;
}

/** The edits from `before` to `after`; null if more than `max` lines differ. */
export function diffLines(
  before: readonly string[],
  after: readonly string[],
  max: number,
): Edit[] | null {
  const trace = furthestReaching(before, after, max);
  if (trace === null) return null;
  const edits: Edit[] = [];
  let [x, y] = [before.length, after.length];
  for (let d = trace.length - 1; d >= 0; d -= 1) {
    const reached = trace[d];
    const k = x - y;
    const cameDown = k === -d || (k !== d && at(reached, k - 1) < at(reached, k + 1));
    const fromX = d === 0 ? 0 : at(reached, cameDown ? k + 1 : k - 1);
    const fromY = d === 0 ? 0 : fromX - (cameDown ? k + 1 : k - 1);
    while (x > fromX && y > fromY) {
      x -= 1;
      y -= 1;
      edits.push({ kind: "same", line: before[x] ?? "" });
    }
    if (d === 0) break;
    if (cameDown) edits.push({ kind: "new", line: after[fromY] ?? "" });
    else edits.push({ kind: "old", line: before[fromX] ?? "" });
    [x, y] = [fromX, fromY];
  }
  return edits.reverse();
}

type Reached = ReadonlyMap<number, number>;

function at(reached: Reached | undefined, k: number): number {
  return reached?.get(k) ?? -1;
}

/**
 * For each number of edits, the furthest x reached on each diagonal; null if there are too many
 * edits.
 */
function furthestReaching(
  before: readonly string[],
  after: readonly string[],
  max: number,
): Reached[] | null {
  const trace: Reached[] = [];
  let reached: Reached = new Map([[1, 0]]);
  for (let d = 0; d <= max; d += 1) {
    trace.push(reached);
    const next = new Map(reached);
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && at(reached, k - 1) < at(reached, k + 1));
      let x = down ? at(reached, k + 1) : at(reached, k - 1) + 1;
      while (x < before.length && x - k < after.length && before[x] === after[x - k]) x += 1;
      next.set(k, x);
      if (x >= before.length && x - k >= after.length) return trace;
    }
    reached = next;
  }
  return null;
}

/** Keep `around` unchanged lines next to each change; null stands for omitted lines. */
export function condensed(edits: readonly Edit[], around: number): (Edit | null)[] {
  const near = edits.map(() => false);
  for (const [index, edit] of edits.entries()) {
    if (edit.kind === "same") continue;
    near.fill(true, Math.max(0, index - around), index + around + 1);
  }
  const shown: (Edit | null)[] = [];
  for (const [index, edit] of edits.entries()) {
    if (near[index] === true) shown.push(edit);
    else if (shown.at(-1) !== null) shown.push(null);
  }
  return shown;
}
