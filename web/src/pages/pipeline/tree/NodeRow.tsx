import { memo, type MouseEvent } from "react";

import { duration, elapsed } from "@/lib/time";
import type { TreeNode } from "@/model/node";
import type { Row } from "@/model/rows";
import { failureText, markOf, STATES } from "@/model/states";
import { TypeIcon } from "@/ui/TypeIcon";
import { StateMark } from "@/ui/StateMark";

/** Indentation of a level, in px, and the deepest one that is still indented further. */
const INDENT = 16;
const DEEPEST = 12;

export function rowId(path: string): string {
  return `row:${path}`;
}

function indent(depth: number): number {
  return 8 + Math.min(depth, DEEPEST) * INDENT;
}

interface Props {
  node: TreeNode;
  /** Null for an Exec. */
  open: boolean | null;
  top: number;
  now: number;
  /** Moves when the node, which is changed in place, may look different. */
  version: number;
  current: boolean;
  selected: boolean;
  onClick: (event: MouseEvent) => void;
  onToggle: () => void;
}

export const NodeRow = memo(function NodeRow(props: Props) {
  const { node, open, top, now, current, selected } = props;
  const mark = markOf(node);
  const classes = ["trow"];
  if (current) classes.push("trow-current");
  if (selected) classes.push("trow-selected");
  if (node.skipped) classes.push("trow-skipped");
  return (
    <div
      id={rowId(node.path)}
      className={classes.join(" ")}
      role="treeitem"
      aria-level={node.depth + 1}
      aria-selected={selected || current}
      {...(open === null ? {} : { "aria-expanded": open })}
      style={{ transform: `translateY(${top}px)`, paddingLeft: indent(node.depth) }}
      onClick={props.onClick}
      onDoubleClick={open === null ? undefined : props.onToggle}
    >
      <span className="tree-name">
        {open === null ? (
          <span className="trow-twist" />
        ) : (
          <span
            className="trow-twist trow-twist-group"
            aria-hidden
            onClick={(event) => {
              event.stopPropagation();
              props.onToggle();
            }}
          >
            <svg viewBox="0 0 10 10" width="10" height="10" className={open ? "open" : ""}>
              <path d="M3 1.5L7 5 3 8.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
            </svg>
          </span>
        )}
        <StateMark mark={mark} label />
        <TypeIcon type={node.type} name={node.name} />
        <span className="trow-name clip" title={node.path}>
          {node.name}
        </span>
        {node.hasDoc ? (
          <span className="trow-doc" title="has a doc" aria-label="has a doc" />
        ) : null}
        {node.command === null ? null : (
          <code className="trow-command clip" title={node.command}>
            {node.command.slice(0, 200)}
          </code>
        )}
      </span>
      {node.counts === null ? <ExecCell node={node} /> : <CountCells node={node} />}
      <span className="tree-time number">{timeText(node, now)}</span>
    </div>
  );
});

function CountCells({ node }: { node: TreeNode }) {
  const counts = node.counts;
  if (counts === null) return null;
  return (
    <span className="tree-cells number">
      {STATES.map((state) => (
        <span
          key={state}
          className={counts[state] === 0 ? "tree-cell tree-cell-none" : `tree-cell state-${state}`}
          {...(counts[state] === 0
            ? { "aria-hidden": true }
            : { "aria-label": `${counts[state]} ${state}`, role: "img" })}
        >
          {short(counts[state])}
        </span>
      ))}
    </span>
  );
}

/** How an Exec stands, in words. */
function ExecCell({ node }: { node: TreeNode }) {
  const mark = markOf(node);
  const words = failureText(node.cause, node.exitCode) ?? mark;
  const tries = node.attempt > 1 ? ` · attempt ${node.attempt}` : "";
  return (
    <span className={`tree-cells tree-word clip state-${mark}`} title={node.waitsFor ?? words}>
      {words}
      {tries}
    </span>
  );
}

function timeText(node: TreeNode, now: number): string {
  if (node.state === "pending" && node.counts === null) return "";
  const took = elapsed(node.started, node.ended, now);
  return took === null ? "" : duration(took);
}

/** A count in at most four signs. */
function short(count: number): string {
  if (count < 10_000) return String(count);
  return `${Math.floor(count / 1000)}k`;
}

export function MoreRow({ row, top }: { row: Extract<Row, { kind: "more" }>; top: number }) {
  const { group } = row;
  const missing = group.childCount - group.children.first.length - group.children.beyond.length;
  return (
    <div
      className="trow trow-more muted"
      role="treeitem"
      aria-level={row.depth + 1}
      aria-selected={false}
      aria-busy
      style={{ transform: `translateY(${top}px)`, paddingLeft: indent(row.depth) + 16 }}
    >
      {missing > 0 ? `loading ${missing.toLocaleString("en")} more…` : "loading…"}
    </div>
  );
}
