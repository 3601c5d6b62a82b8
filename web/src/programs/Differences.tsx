import { useState } from "react";

import type { Difference, DifferenceKind, DifferenceList, PipelineComparison } from "@/api/schema";
import { Icon, type IconName } from "@/components/Icon";
import { StateIcon } from "@/components/StateIcon";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration } from "@/lib/time";
import { visible } from "@/lib/visible";
import { shortPath } from "@/run/model/shortPath";
import type { DisplayState } from "@/run/model/states";
import styles from "@/programs/CompareRuns.module.css";

const KINDS = {
  newly_failing: "newly failing",
  fixed: "fixed",
  slower: "slower",
  faster: "faster",
  command: "with another command",
  parameter: "parameters changed",
  image: "images changed",
  node_image: "in another image",
  result: "with another result",
  added: "added",
  removed: "removed",
};

/** Names in a closed row. */
const NAMED = 5;
const MAX_PATH = 60;

const STATES: Partial<Record<DifferenceKind, DisplayState>> = {
  newly_failing: "error",
  fixed: "done",
};
const ICONS: Record<DifferenceKind, IconName> = {
  newly_failing: "close",
  fixed: "flag",
  slower: "clock",
  faster: "clock",
  command: "terminal",
  parameter: "settings",
  image: "image",
  node_image: "image",
  result: "data",
  added: "plus",
  removed: "close",
};
/** Kinds whose names are not nodes. */
const NO_NODES: readonly DifferenceKind[] = ["parameter", "image"];
const TIMES: readonly DifferenceKind[] = ["slower", "faster"];
/** Kinds whose values are in their name. */
const NO_VALUES: readonly DifferenceKind[] = ["newly_failing", "fixed", "added", "removed"];

/** The differences by kind; each can be opened. */
export function Differences({ comparison }: { comparison: PipelineComparison }) {
  const { differences, complete } = comparison;
  return (
    <>
      {differences.length === 0 ? (
        <p className="muted">No difference in outcome, time, command, image or result.</p>
      ) : (
        <ul className={styles.rows}>
          {differences.map((each) => (
            <Kind key={each.kind} list={each} comparison={comparison} />
          ))}
        </ul>
      )}
      {complete ? null : <p className="muted">Only the first 200 results are compared.</p>}
    </>
  );
}

interface KindProps {
  list: DifferenceList;
  comparison: PipelineComparison;
}

function Kind({ list: { kind, count, items }, comparison }: KindProps) {
  const [open, setOpen] = useState(false);
  const state = STATES[kind];
  const names = items.slice(0, NAMED).map((item) => summaryOf(kind, item));
  return (
    <li>
      <button
        type="button"
        className={styles.kind}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {state === undefined ? <Icon name={ICONS[kind]} /> : <StateIcon state={state} />}
        <span className={`${styles.count} number`}>{count.toLocaleString("en")}</span>
        <span className={styles.label}>{KINDS[kind]}</span>
        <span className={`${styles.names} clip`}>{open ? "" : names.join(", ")}</span>
      </button>
      {open ? (
        <ul className={styles.items}>
          {items.map((item) => (
            <Item key={item.name} kind={kind} item={item} comparison={comparison} />
          ))}
          {count > items.length ? (
            <li className="muted">{`${(count - items.length).toLocaleString("en")} more`}</li>
          ) : null}
        </ul>
      ) : null}
    </li>
  );
}

interface ItemProps {
  kind: DifferenceKind;
  item: Difference;
  comparison: PipelineComparison;
}

function Item({ kind, item, comparison: { before, after } }: ItemProps) {
  const isNode = !NO_NODES.includes(kind);
  const values = valuesOf(kind, item);
  const name = visible(shortPath(item.name, MAX_PATH));
  return (
    <li>
      <span className={`mono ${styles.path}`} title={visible(item.name)}>
        {isNode ? (
          <NodeLink id={kind === "removed" ? before : after} path={item.name} text={name} />
        ) : (
          name
        )}
      </span>
      {values === "" ? null : (
        <span className={`mono ${styles.values} ${kind === "slower" ? styles.slower : ""}`}>
          {values}
        </span>
      )}
      {isNode ? (
        <span className={styles.links}>
          {kind === "added" ? null : <NodeLink id={before} path={item.name} text="A" />}
          {kind === "removed" ? null : <NodeLink id={after} path={item.name} text="B" />}
        </span>
      ) : null}
    </li>
  );
}

function NodeLink({ id, path, text }: { id: string; path: string; text: string }) {
  const label = text.length === 1 ? `${visible(path)} in ${text}` : undefined;
  return (
    <a href={pipelineUrl(id, path)} onClick={followLink} aria-label={label}>
      {text}
    </a>
  );
}

/** The name of a difference in a closed row, with its values if they are short. */
function summaryOf(kind: DifferenceKind, item: Difference): string {
  const name = visible(shortPath(item.name, MAX_PATH / 2));
  if (TIMES.includes(kind) || kind === "parameter") return `${name} ${valuesOf(kind, item)}`;
  return name;
}

function valuesOf(kind: DifferenceKind, { before, after, seconds }: Difference): string {
  if (NO_VALUES.includes(kind)) return "";
  if (TIMES.includes(kind) && seconds !== null) {
    return `${seconds > 0 ? "+" : "−"}${duration(Math.abs(seconds))}`;
  }
  return `${visible(before ?? "–")} → ${visible(after ?? "–")}`;
}
