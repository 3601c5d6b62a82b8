import { type CSSProperties, memo } from "react";

import { ActorLabel } from "@/components/ActorLabel";
import { CountsBar } from "@/components/Counts";
import { StateIcon } from "@/components/StateIcon";
import { TypeIcon } from "@/components/TypeIcon";
import { duration, plural } from "@/lib/time";
import { visible, visibleInLine, visibleLines } from "@/lib/visible";
import { type Column, columnsOf, shortCount } from "@/run/model/columns";
import { type TreeNode, timeOf } from "@/run/model/node";
import {
  nameOfRow,
  type NodeRow as Row,
  type OutputCount,
  type Row as AnyRow,
} from "@/run/tree/model/rows";
import {
  displayState,
  failureText,
  isFailed,
  type Mark,
  stateLabel,
  stoppedText,
} from "@/run/model/states";
import { isLong, type UsualTime } from "@/run/model/usual";
import { waitOf } from "@/run/model/waiting";
import { ReuseIcon } from "@/run/tree/ReuseIcon";
import styles from "@/run/tree/NodeRow.module.css";

/** Indent of a level in px; deep levels are narrower, so that names keep their room. */
const INDENT = 16;
const DEEP_INDENT = 4;
const DEEP = 8;
const MAX_LEVEL = 32;
/** Maximum number of characters of a command in a row. */
const MAX_COMMAND = 200;

export function rowId(path: string): string {
  return `row:${path}`;
}

/** Position and indent of a row. */
export function rowStyle(top: number, level: number): CSSProperties {
  const deep = Math.max(0, Math.min(level, MAX_LEVEL) - DEEP);
  const indent = { "--indent": `${Math.min(level, DEEP) * INDENT + deep * DEEP_INDENT}px` };
  return { transform: `translateY(${top}px)`, ...indent };
}

/** The row of an event, and whether it hit the toggle or the check box. */
export function rowAt(
  target: EventTarget,
): { key: string; onTwist: boolean; onCheck: boolean } | null {
  if (!(target instanceof Element)) return null;
  const key = target.closest<HTMLElement>("[data-row]")?.dataset.row;
  if (key === undefined) return null;
  const isOn = (name: string | undefined) => target.closest(`.${name}`) !== null;
  return { key, onTwist: isOn(styles.group), onCheck: isOn(styles.check) };
}

/** The current time if the row shows a growing duration, or the time until a retry. */
export function tickingTime({ started, ended, waitKind }: TreeNode, now: number): number | null {
  return (started !== null && ended === null) || waitKind === "retry" ? now : null;
}

interface Props {
  row: Row;
  /** The pipeline's title, in place of the name of the root. */
  title: string | null;
  /** The group whose timeout killed the command. */
  stoppedBy: string | null;
  /** Why the command failed. */
  reason: string | null;
  /** The first of its files that has changed since it ran. */
  stale: string | null;
  /** Its time in earlier pipelines. */
  usual: UsualTime | undefined;
  top: number;
  /** The current time if the row shows a growing duration, otherwise null. */
  now: number | null;
  /** The pipeline is settled. */
  settled: boolean;
  /** Changes with the node, which is mutated in place. */
  revision: number;
  current: boolean;
  selected: boolean;
  /** Whether the merged output shows the node; null: it is not a filter. */
  check: boolean | "mixed" | null;
  /** The colour of a command in the merged output. */
  colour: string;
  /** Its lines in the merged output. */
  output: OutputCount | null;
}

/** Rows are equal if they show the same; the flattened row is a new object each time. */
function isEqual(one: Props, other: Props): boolean {
  const { row, output, ...rest } = one;
  const before = other.row;
  const { node, open, level, top } = row;
  return (
    node === before.node &&
    open === before.open &&
    level === before.level &&
    top === before.top &&
    output?.text === other.output?.text &&
    output?.errors === other.output?.errors &&
    (Object.keys(rest) as (keyof typeof rest)[]).every((key) => one[key] === other[key])
  );
}

/** Clicks are handled by the tree; a handler per row would defeat `memo`. */
export const NodeRow = memo(function NodeRow(props: Props) {
  const { row, title, top, current, selected, check } = props;
  const { node, open, level } = row;
  const classes = [styles.row];
  if (current) classes.push(styles.current);
  if (selected) classes.push(styles.selected);
  if (node.skipped) classes.push(styles.skipped);
  return (
    <div
      id={rowId(node.path)}
      data-row={row.key}
      className={classes.join(" ")}
      role="treeitem"
      aria-level={level + 1}
      aria-selected={selected || current}
      {...(open === null ? {} : { "aria-expanded": open })}
      {...(check === null ? {} : { "aria-checked": check })}
      style={rowStyle(top, level)}
    >
      <span className={styles.main}>
        <Twist open={open} />
        {check === null ? null : <Check {...props} />}
        <span className={styles.icons}>
          <StateIcon state={markOf(props)} outlined={node.counts !== null} label />
          <TypeIcon type={node.type} name={node.name} />
        </span>
        <Name row={row} title={title} />
        {node.reuse === null ? null : <ReuseIcon node={node} reuse={node.reuse} />}
        {node.hasDoc ? (
          <span
            className={styles.doc}
            role="img"
            title="has documentation"
            aria-label="has documentation"
          />
        ) : null}
        {node.actor?.assistant == null ? null : (
          <span className={`${styles.actor} clip`}>
            <ActorLabel actor={node.actor} />
          </span>
        )}
        <Detail {...props} />
      </span>
      {check === null ? null : <Output {...props} />}
      {node.counts !== null ? (
        <Counts {...props} />
      ) : check === null || (props.output === null && check !== false) ? (
        <Word {...props} />
      ) : null}
      <Time {...props} />
    </div>
  );
}, isEqual);

/** The time, with the usual one of a command that takes long, or what the cache saved. */
function Time({ row: { node }, usual, now }: Props) {
  if (node.state === "pending" && node.counts === null) return <span className={styles.time} />;
  const took = timeOf(node, now ?? 0);
  const isSlow = node.counts === null && isLong(took, usual);
  const about = isSlow
    ? `usually ${duration(usual?.usual ?? 0)}`
    : node.cached !== null && node.saved !== null
      ? `saved ${duration(node.saved)}`
      : null;
  return (
    <>
      {about === null ? null : <span className={`${styles.usually} number`}>{about}</span>}
      <span className={`${styles.time} ${isSlow ? styles.late : ""} number`}>
        {took === null ? "" : duration(took)}
      </span>
    </>
  );
}

/** The lines in the merged output; of a command with errors, only these. */
function Output({ row: { node }, check, output }: Props) {
  if (check === false) return <span className={`${styles.word} muted`}>hidden</span>;
  if (output === null) return null;
  const { text, errors } = output;
  const failed = errors === 0 ? null : plural(errors, "error");
  return (
    <span className={`${styles.word} number`} title={failed === null ? text : `${text}, ${failed}`}>
      {failed !== null && node.counts === null ? (
        <span className="state-error">{failed}</span>
      ) : (
        <span className="muted">{text}</span>
      )}
    </span>
  );
}

function Check({ row: { node }, check, colour }: Props) {
  return (
    <span
      className={styles.check}
      style={{ color: node.counts === null ? colour : "var(--accent)" }}
      data-check={check}
      aria-hidden
    >
      <svg viewBox="0 0 14 14" width="14" height="14">
        <rect x="0.5" y="0.5" width="13" height="13" rx="3" />
        {check === false ? null : <path d={check === true ? "M3.5 7l2.5 2.5 4.5-5" : "M4 7h6"} />}
      </svg>
    </span>
  );
}

export function Twist({ open }: { open: boolean | null }) {
  if (open === null) return <span className={styles.twist} />;
  return (
    <span className={`${styles.twist} ${styles.group}`} aria-hidden>
      <svg viewBox="0 0 10 10" width="10" height="10" className={open ? styles.open : ""}>
        <path d="M3 1.5L7 5 3 8.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
      </svg>
    </span>
  );
}

/** The name; of groups with a single child, all names. */
function Name({ row, title }: Pick<Props, "row" | "title">) {
  const name = visible(title ?? nameOfRow(row));
  const leaf = name.lastIndexOf("/") + 1;
  return (
    <span className={`${styles.name} clip`} title={visible(row.node.path)} data-name>
      {title === null && leaf > 0 && row.top !== row.key ? (
        <>
          <span className={styles.chain}>{name.slice(0, leaf)}</span>
          {name.slice(leaf)}
        </>
      ) : (
        name
      )}
    </span>
  );
}

/** The reason of a failed command, unless its word says the same; otherwise the command. */
function Detail({ row: { node }, reason }: Props) {
  const isSaid = reason === failureText(node.cause, node.exitCode);
  const failed = !node.skipped && isFailed(node.state) && reason !== null && !isSaid;
  const text = failed ? reason : (node.command ?? "");
  if (text === "") return null;
  return (
    <code className={`${styles.detail} clip`} title={visibleLines(text)}>
      {visibleInLine(text.slice(0, MAX_COMMAND))}
    </code>
  );
}

function Counts({ row: { node }, settled }: Props) {
  const { counts } = node;
  if (counts === null) return null;
  return (
    <>
      <span className={styles.bar}>
        <CountsBar counts={counts} />
      </span>
      <span className={`${styles.cells} number`}>
        {columnsOf(settled).map((column) => (
          <Cell key={column.state} column={column} count={column.countOf(counts)} />
        ))}
      </span>
    </>
  );
}

function Cell({ column, count }: { column: Column; count: number }) {
  if (count === 0) return <span className={styles.cell} aria-hidden />;
  const colours: Partial<Record<string, string>> = {
    error: styles.failed,
    running: styles.running,
  };
  return (
    <span
      className={`${styles.cell} ${colours[column.state] ?? ""}`}
      role="img"
      title={`${count.toLocaleString("en")} ${column.label}`}
    >
      {shortCount(count)}
    </span>
  );
}

/** The state of a command in words, unless its icon says all. */
function Word(props: Props) {
  const { row, stoppedBy, now, stale } = props;
  const { node } = row;
  const mark = markOf(props);
  const text =
    mark === "stale"
      ? `stale: ${visible(stale ?? "")} changed`
      : mark === "cached"
        ? `from cache ${node.cached ?? ""}`
        : wordOf(node, stoppedBy, now);
  const attempt = node.attempt > 1 ? `attempt ${node.attempt}` : "";
  const shown = [text, attempt].filter((part) => part !== "").join(" · ");
  if (shown === "") return null;
  return (
    <span className={`${styles.word} clip state-${mark}`} title={node.waitsFor ?? shown}>
      {shown}
    </span>
  );
}

/** The state, or of a command that is done, from where. */
function markOf({ row: { node }, stale }: Props): Mark {
  const state = displayState(node);
  if (node.counts !== null || state !== "done") return state;
  return stale !== null ? "stale" : node.cached !== null ? "cached" : state;
}

function wordOf(node: TreeNode, stoppedBy: string | null, now: number | null): string {
  if (stoppedBy !== null) return stoppedText(stoppedBy);
  const failure = failureText(node.cause, node.exitCode);
  if (failure !== null) return failure;
  const mark = displayState(node);
  if (mark === "done") return "";
  if (mark === "skipped" && node.byCondition) return "skipped by run_if";
  if (mark === "pending" || mark === "queued")
    return waitOf(node, now) ?? (mark === "queued" ? stateLabel(mark) : "");
  return stateLabel(mark);
}

export function MoreRow({ row, top }: { row: Extract<AnyRow, { kind: "more" }>; top: number }) {
  const { group } = row;
  const missing = group.childCount - group.children.first.length - group.children.beyond.length;
  return (
    <div
      className={`${styles.row} ${styles.more}`}
      role="treeitem"
      aria-level={row.level + 1}
      aria-selected={false}
      aria-busy
      style={rowStyle(top, row.level + 1)}
    >
      {missing > 0 ? `loading ${missing.toLocaleString("en")} more…` : "loading…"}
    </div>
  );
}

interface FoldProps {
  row: Extract<AnyRow, { kind: "fold" }>;
  top: number;
}

/** The row of children that need no attention. */
export function FoldRow({ row: { key, fold, open, level }, top }: FoldProps) {
  return (
    <div
      id={rowId(key)}
      data-row={key}
      data-fold
      className={`${styles.row} ${styles.fold}`}
      role="treeitem"
      aria-level={level + 1}
      aria-selected={false}
      aria-expanded={open}
      style={rowStyle(top, level)}
    >
      <span className={styles.main}>
        <Twist open={open} />
        <StateIcon state={fold.state} />
        {fold.label}
      </span>
    </div>
  );
}
