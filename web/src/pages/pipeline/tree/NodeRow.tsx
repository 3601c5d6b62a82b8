import { memo, type CSSProperties } from "react";

import { StateIcon } from "@/components/StateIcon";
import { TypeIcon } from "@/components/TypeIcon";
import { duration, elapsed } from "@/lib/time";
import type { TreeNode } from "@/model/node";
import type { Row } from "@/model/rows";
import { displayState, failureText, stateLabel, STATES, stoppedText } from "@/model/states";

export function rowId(path: string): string {
  return `row:${path}`;
}

/** Position and level of a row; the indent per level depends on the width. */
function rowStyle(top: number, depth: number): CSSProperties {
  const level = { "--level": depth };
  return { transform: `translateY(${top}px)`, ...level };
}

interface Props {
  node: TreeNode;
  /** The group whose timeout killed the command. */
  stoppedBy: string | null;
  open: boolean | null;
  top: number;
  /** The current time if the row shows a growing duration, otherwise null. */
  now: number | null;
  /** Changes with the node, which is mutated in place. */
  revision: number;
  current: boolean;
  selected: boolean;
}

/** The row of an event, and whether it hit the toggle. */
export function rowAt(target: EventTarget): { path: string; onTwist: boolean } | null {
  if (!(target instanceof Element)) return null;
  const path = target.closest<HTMLElement>(".trow")?.dataset.path;
  if (path === undefined) return null;
  return { path, onTwist: target.closest(".trow-twist-group") !== null };
}

/** The current time if the row shows a growing duration. */
export function tickingTime({ started, ended }: TreeNode, now: number): number | null {
  return started !== null && ended === null ? now : null;
}

/** Clicks are handled by the tree; a handler per row would defeat `memo`. */
export const NodeRow = memo(function NodeRow(props: Props) {
  const { node, open, top, now, current, selected } = props;
  const mark = displayState(node);
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
      style={rowStyle(top, node.depth)}
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
        <StateIcon state={mark} label />
        <TypeIcon type={node.type} name={node.name} />
        <span className="trow-name clip" title={node.path}>
          {node.name}
        </span>
        {node.reuse === null ? null : <ReuseIcon node={node} reuse={node.reuse} />}
        {node.hasDoc ? (
          <span className="trow-doc" title="has documentation" aria-label="has documentation" />
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

/** Shows the container reuse of a node. */
function ReuseIcon({ node, reuse }: { node: TreeNode; reuse: "context" | "fresh" }) {
  const label =
    reuse === "fresh"
      ? "each attempt uses a new container"
      : node.type === "Exec"
        ? "shares the container of its group"
        : "commands below share one container, one at a time";
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
            : { "aria-label": `${counts[state]} ${stateLabel(state)}`, role: "img" })}
        >
          {shortCount(counts[state])}
        </span>
      ))}
    </span>
  );
}

function ExecCell({ node, stoppedBy }: Pick<Props, "node" | "stoppedBy">) {
  const mark = displayState(node);
  const text =
    stoppedBy === null
      ? (failureText(node.cause, node.exitCode) ?? stateLabel(mark))
      : stoppedText(stoppedBy);
  const attempt = node.attempt > 1 ? ` · attempt ${node.attempt}` : "";
  return (
    <span className={`tree-cells tree-word clip state-${mark}`} title={node.waitsFor ?? text}>
      {text}
      {attempt}
    </span>
  );
}

function timeText(node: TreeNode, now: number | null): string {
  if (node.state === "pending" && node.counts === null) return "";
  const took = elapsed(node.started, node.ended, now ?? 0);
  return took === null ? "" : duration(took);
}

/** A count in at most four characters. */
function shortCount(count: number): string {
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
      style={rowStyle(top, row.depth + 1)}
    >
      {missing > 0 ? `loading ${missing.toLocaleString("en")} more…` : "loading…"}
    </div>
  );
}
