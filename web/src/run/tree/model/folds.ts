/**
 * Folds the children of a group that need no attention: many failures, queued commands, and the
 * rest of a group in which something is active.
 */

import { plural } from "@/lib/time";
import type { TreeNode } from "@/run/model/node";
import { isWithin } from "@/run/model/paths";
import { FAILED, rankOf, REST, type SortedChildren } from "@/run/tree/model/sorting";
import { type DisplayState, displayState, failures, stateLabel, total } from "@/run/model/states";

/** Children of a smaller group are never folded. */
const MIN_CHILDREN = 12;
/** Number of failed, running and queued children that are shown of a folded group. */
const SHOWN = [5, 20, 3] as const;
/** Fewer rows than this are not worth a fold. */
const MIN_FOLDED = 3;
/** The name of the fold with the children that are neither failed nor active. */
export const REST_FOLD = "rest";
const RANK_STATES = ["error", "running", "queued"] as const;
const RANK_LABELS = ["more failed", "more running", "more queued"] as const;

export interface Fold {
  /** Unique in its group. */
  name: string;
  /** The state of its icon. */
  state: DisplayState;
  label: string;
}

/** Consecutive children: nodes, or a fold and the nodes in it. */
export interface Section {
  fold: Fold | null;
  nodes: readonly TreeNode[];
}

/** The children of a group in sections. `current` is never in a fold. */
export function sectionsOf(group: TreeNode, sorted: SortedChildren, current: string): Section[] {
  const { active, rest, beyond } = sorted;
  if (group.childCount <= MIN_CHILDREN || active.length === 0) {
    return [{ fold: null, nodes: [...active, ...rest, ...beyond] }];
  }
  const sections: Section[] = [];
  for (const [rank, limit] of SHOWN.entries()) {
    const nodes = active.filter((node) => rankOf(node) === rank);
    const cut = nodes.length - limit < MIN_FOLDED ? nodes.length : limit;
    const hidden = rank === FAILED ? unloadedFailures(group, nodes.length) : 0;
    sections.push(...split(nodes, cut, current, (count) => rankFold(rank, count + hidden)));
  }
  // A state may have changed since the order was made.
  sections.push({ fold: null, nodes: active.filter((node) => rankOf(node) === REST) });
  const others = [...rest, ...beyond];
  const { loaded, next } = group.children;
  const isUnloaded = !loaded && isActiveKnown(group, active);
  const isFolded = isUnloaded || (loaded && (next !== null || others.length >= MIN_FOLDED));
  const cut = isFolded ? 0 : others.length;
  sections.push(...split(others, cut, current, () => restFold(group, others), isUnloaded));
  return sections.filter(({ fold, nodes }) => fold !== null || nodes.length > 0);
}

/** Whether `active` has all commands of a group that need attention, as counted by the server. */
function isActiveKnown({ counts, childCount }: TreeNode, active: readonly TreeNode[]): boolean {
  if (counts === null || total(counts) !== childCount || counts.skipped > 0) return false;
  return active.length === failures(counts) + counts.running + counts.queued;
}

/** Number of failed commands of a group that are not loaded. */
function unloadedFailures({ counts, childCount }: TreeNode, known: number): number {
  if (counts === null || total(counts) !== childCount) return 0;
  return Math.max(0, failures(counts) - counts.skipped - known);
}

function split(
  nodes: readonly TreeNode[],
  cut: number,
  current: string,
  foldOf: (count: number) => Fold | null,
  /** There are more nodes, which are not loaded. */
  partial = false,
): Section[] {
  const isShown = (node: TreeNode, at: number) => at < cut || isWithin(current, node.path);
  const shown = nodes.filter(isShown);
  const folded = nodes.filter((node, at) => !isShown(node, at));
  const fold = folded.length === 0 && !partial ? null : foldOf(folded.length);
  return [
    { fold: null, nodes: shown },
    { fold, nodes: folded },
  ];
}

function rankFold(rank: number, count: number): Fold {
  const state = RANK_STATES[rank] ?? "pending";
  return { name: state, state, label: `${count.toLocaleString("en")} ${RANK_LABELS[rank] ?? ""}` };
}

/** `83 done`, `80 done, 3 skipped`, `12 groups done, 1,200 commands`. */
function restFold(group: TreeNode, known: readonly TreeNode[]): Fold {
  const { loaded, next } = group.children;
  const states = loaded && next === null ? statesOf(known) : countedStates(group);
  const groups = loaded && known.every((node) => node.counts !== null);
  const label = [...states]
    .map(([state, count]) => `${many(count, groups)} ${stateLabel(state)}`)
    .join(", ");
  const commands = known.reduce(
    (sum, { counts }) => sum + (counts === null ? 1 : total(counts)),
    0,
  );
  return {
    name: REST_FOLD,
    state: [...states.keys()][0] ?? "done",
    label: groups ? `${label}, ${plural(commands, "command")}` : label,
  };
}

function statesOf(nodes: readonly TreeNode[]): Map<DisplayState, number> {
  const states = new Map<DisplayState, number>();
  for (const node of nodes) {
    const state = displayState(node);
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  return states;
}

/** The states of commands of which only a part is loaded. */
function countedStates({ counts }: TreeNode): Map<DisplayState, number> {
  const inactive = ["done", "pending"] as const;
  return new Map(inactive.flatMap((state) => (counts?.[state] ? [[state, counts[state]]] : [])));
}

function many(count: number, groups: boolean): string {
  return groups ? plural(count, "group") : count.toLocaleString("en");
}
