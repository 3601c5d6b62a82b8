import { memo, type CSSProperties } from "react";

import { StateMark } from "@/components/StateMark";
import { TypeIcon } from "@/components/TypeIcon";
import { duration, elapsed } from "@/lib/time";
import type { TreeNode } from "@/model/node";
import type { Row } from "@/model/rows";
import { failureText, markOf, STATES, stoppedText } from "@/model/states";

export function rowId(path: string): string {
  return `row:${path}`;
}

/** Where a row stands; how far a level is indented, and up to which, depends on the room. */
function placed(top: number, depth: number): CSSProperties {
  const level = { "--level": depth };
  return { transform: `translateY(${top}px)`, ...level };
}

interface Props {
  node: TreeNode;
  /** The group whose time limit ended an Exec. */
  stoppedBy: string | null;
  /** Null for an Exec. */
  open: boolean | null;
  top: number;
  /** The time, where the row shows how long the node has run so far; else null. */
  now: number | null;
  /** The node's: it changes in place, and `memo` would not see that. */
  revision: number;
  current: boolean;
  selected: boolean;
}

/** Where in the tree an event took place. */
export function rowAt(target: EventTarget): { path: string; onTwist: boolean } | null {
  if (!(target instanceof Element)) return null;
  const path = target.closest<HTMLElement>(".trow")?.dataset.path;
  if (path === undefined) return null;
  return { path, onTwist: target.closest(".trow-twist-group") !== null };
}

/** The time that a row needs to be told: none where it would show the same at any time. */
export function nowFor({ started, ended }: TreeNode, now: number): number | null {
  return started !== null && ended === null ? now : null;
}

/** What is clicked the tree finds out: a handler for each row would be a new one each time. */
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
      data-path={node.path}
      className={classes.join(" ")}
      role="treeitem"
      aria-level={node.depth + 1}
      aria-selected={selected || current}
      {...(open === null ? {} : { "aria-expanded": open })}
      style={placed(top, node.depth)}
    >
      <span className="tree-name">
        {open === null ? (
          <span className="trow-twist" />
        ) : (
          <span className="trow-twist trow-twist-group" aria-hidden>
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
        {node.reuse === null ? null : <ReuseMark node={node} reuse={node.reuse} />}
        {node.hasDoc ? (
          <span className="trow-doc" title="has a doc" aria-label="has a doc" />
        ) : null}
        {node.command === null ? null : (
          <code className="trow-command clip" title={node.command}>
            {node.command.slice(0, 200)}
          </code>
        )}
      </span>
      {node.counts === null ? (
        <ExecCell node={node} stoppedBy={props.stoppedBy} />
      ) : (
        <CountCells node={node} />
      )}
      <span className="tree-time number">{timeText(node, now)}</span>
    </div>
  );
});

/** A box: full where a container is kept for what comes next, broken where it is used once. */
function ReuseMark({ node, reuse }: { node: TreeNode; reuse: "context" | "fresh" }) {
  const label =
    reuse === "fresh"
      ? "each attempt gets a fresh container"
      : node.type === "Exec"
        ? "shares the one container of its group"
        : "what is below shares one container, one after the other";
  return (
    <svg
      className="trow-reuse"
      viewBox="0 0 14 14"
      width="12"
      height="12"
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <rect
        x="2"
        y="3"
        width="10"
        height="8.5"
        rx="1"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.2"
        {...(reuse === "fresh" ? { strokeDasharray: "2.2 1.6" } : {})}
      />
      {reuse === "context" ? <path d="M2 6h10" stroke="currentColor" strokeWidth="1.2" /> : null}
    </svg>
  );
}

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
function ExecCell({ node, stoppedBy }: Pick<Props, "node" | "stoppedBy">) {
  const mark = markOf(node);
  const words =
    stoppedBy === null ? (failureText(node.cause, node.exitCode) ?? mark) : stoppedText(stoppedBy);
  const tries = node.attempt > 1 ? ` · attempt ${node.attempt}` : "";
  return (
    <span className={`tree-cells tree-word clip state-${mark}`} title={node.waitsFor ?? words}>
      {words}
      {tries}
    </span>
  );
}

function timeText(node: TreeNode, now: number | null): string {
  if (node.state === "pending" && node.counts === null) return "";
  const took = elapsed(node.started, node.ended, now ?? 0);
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
      style={placed(top, row.depth + 1)}
    >
      {missing > 0 ? `loading ${missing.toLocaleString("en")} more…` : "loading…"}
    </div>
  );
}
