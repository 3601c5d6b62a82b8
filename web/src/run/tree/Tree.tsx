import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type MouseEvent } from "react";

import { StateIcon } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { toggled } from "@/lib/arrays";
import { setQuery } from "@/lib/location";
import type { PipelineSession } from "@/run/live/session";
import { useStale } from "@/run/live/useStale";
import { useUsual } from "@/run/live/useUsual";
import { parentOf, ROOT } from "@/run/model/paths";
import { columnsOf } from "@/run/model/columns";
import { type Row, rowOf } from "@/run/tree/model/rows";
import { stoppedBy } from "@/run/model/timeouts";
import { Minimap } from "@/run/tree/Minimap";
import { FoldRow, MoreRow, NodeRow, rowAt, rowId, tickingTime } from "@/run/tree/NodeRow";
import styles from "@/run/tree/Tree.module.css";
import { useRangeSelection } from "@/run/tree/useRangeSelection";
import { useScrollAnchor } from "@/run/tree/useScrollAnchor";

export const ROW_HEIGHT = 28;
const OVERSCAN = 12;
/** With fewer rows there is no minimap: most of them are in view. */
const MIN_MAPPED = 40;

interface Props {
  session: PipelineSession;
  current: string | null;
  selected: ReadonlySet<string>;
  onSelect: (selected: ReadonlySet<string>) => void;
}

export function Tree({ session, current, selected, onSelect }: Props) {
  const rows = session.rows();
  const { model } = session;
  const scroll = useRef<HTMLDivElement>(null);
  const anchor = useRef<string | null>(null);
  const settled = model?.summary.settled !== false;
  const now = useNow(!settled);
  const usual = useUsual(model?.summary);
  const stale = useStale(session);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
  });
  const items = virtual.getVirtualItems();
  const filter = session.outputFilter;
  // Beside the output of a group, keys go to rows that Space shows or hides, and the group stays.
  const [pointed, setPointed] = useState<string | null>(null);
  useEffect(() => setPointed(null), [current]);
  const focused = (filter === null ? null : pointed) ?? current ?? ROOT;
  const byTime = session.order.by === "time";
  const place = useMemo(() => rowOf(rows, focused), [rows, focused]);
  useScrollAnchor(scroll, rows, session.order.version, ROW_HEIGHT);
  useEffect(() => () => session.setHovered(false), [session]);

  // Load children of visible rows, but only as many as fit: the first ones push the others out of
  // view.
  let room = items.length;
  const visible = items.flatMap((item) => {
    const row = rows[item.index];
    if (row?.kind !== "more" || room <= 0) return [];
    room -= row.group.childCount - row.group.children.first.length;
    return [row.group.path];
  });
  const visibleKey = visible.join("\n");
  useEffect(() => {
    for (const path of visibleKey === "" ? [] : visibleKey.split("\n")) void session.loadMore(path);
  }, [session, visibleKey, rows]);

  // Scroll to the current node only when it changes.
  const shown = useRef<string | null>(null);
  useEffect(() => {
    if (place < 0 || shown.current === focused) return;
    shown.current = focused;
    virtual.scrollToIndex(place, { align: "auto" });
  }, [place, focused, virtual]);

  // A range starts at the current node, or at a node selected after it.
  useEffect(() => {
    anchor.current = null;
  }, [focused]);
  const range = useRangeSelection(session, onSelect);
  const go = (row: Row | undefined) => {
    if (row?.kind !== "node") return;
    if (filter === null) setQuery({ node: row.key, attempt: null }, true);
    else setPointed(row.key);
  };
  const toggleSelected = (path: string) => {
    anchor.current = path;
    range.cancel();
    onSelect(toggled(selected, path));
  };
  const toggleOpen = (key: string) => {
    const row = rows.find((one) => one.key === key);
    if (row?.kind === "node" && row.open !== null) session.setOpen(key, !row.open);
  };
  const isFold = (key: string) => rows.some((row) => row.kind === "fold" && row.key === key);
  const onClick = (event: MouseEvent) => {
    const at = rowAt(event.target);
    if (at === null) return;
    if (isFold(at.key)) session.toggleFold(at.key);
    else if (at.onTwist) toggleOpen(at.key);
    else if (at.onCheck) filter?.toggle(at.key);
    else if (event.shiftKey) void range.select(anchor.current ?? focused, at.key);
    else if (event.ctrlKey || event.metaKey) toggleSelected(at.key);
    else setQuery({ node: at.key, attempt: null });
  };
  const onDoubleClick = (event: MouseEvent) => {
    const at = rowAt(event.target);
    if (at !== null && !at.onTwist && !at.onCheck) toggleOpen(at.key); // a double click on the toggle has no effect
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rows[place];
    const page = Math.max(1, Math.floor((scroll.current?.clientHeight ?? 0) / ROW_HEIGHT) - 1);
    const moves: Record<string, () => void> = {
      ArrowDown: () => go(nodeFrom(rows, place + 1, 1)),
      ArrowUp: () => go(nodeFrom(rows, place - 1, -1)),
      PageDown: () => go(nodeFrom(rows, Math.min(rows.length - 1, place + page), -1)),
      PageUp: () => go(nodeFrom(rows, Math.max(0, place - page), 1)),
      Home: () => go(rows[0]),
      End: () => go(nodeFrom(rows, rows.length - 1, -1)),
      ArrowRight: () => openOrEnter(session, row, () => go(nodeFrom(rows, place + 1, 1))),
      ArrowLeft: () => closeOrLeave(session, row, (path) => setQuery({ node: path }, true)),
      Enter: () => {
        if (focused === (current ?? ROOT)) {
          document.querySelector<HTMLElement>("[data-node-pane]")?.focus();
        } else setQuery({ node: focused, attempt: null });
      },
      " ": () => {
        if (row?.kind === "node") (filter?.toggle ?? toggleSelected)(row.key);
      },
      Escape: () => {
        range.cancel();
        onSelect(new Set());
      },
    };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    move();
  };

  return (
    <div className={styles.tree}>
      <div className={styles.head} aria-hidden>
        <span className={styles.title}>
          {filter === null ? "Node" : <OnlyFailed isOn={filter.onlyFailed} />}
        </span>
        <span className={styles.cells}>
          {columnsOf(settled).map(({ state, label }) => (
            <span key={state} className={styles.cell} title={label}>
              <StateIcon state={state} outlined />
            </span>
          ))}
        </span>
        <button
          type="button"
          tabIndex={-1}
          className={styles.time}
          title="Sort by time"
          onClick={() => session.setOrder(byTime ? "state" : "time")}
        >
          {byTime ? "Time ↓" : "Time"}
        </button>
        {rows.length < MIN_MAPPED ? null : <span className={styles.map} />}
      </div>
      <div className={styles.body}>
        <div
          ref={scroll}
          className={`${styles.scroll} tree-scroll`}
          role="tree"
          aria-label="Nodes"
          aria-multiselectable
          tabIndex={0}
          aria-busy={range.busy}
          onKeyDown={onKeyDown}
          onPointerEnter={() => session.setHovered(true)}
          onPointerLeave={() => session.setHovered(false)}
          {...(items.some((item) => item.index === place)
            ? { "aria-activedescendant": rowId(rows[place]?.key ?? focused) }
            : {})}
        >
          <div
            className={styles.rows}
            role="presentation"
            style={{ height: virtual.getTotalSize() }}
            onClick={onClick}
            onDoubleClick={onDoubleClick}
          >
            {items.map((item) => {
              const row = rows[item.index];
              if (row === undefined) return null;
              const top = item.start;
              if (row.kind === "more") return <MoreRow key={row.key} row={row} top={top} />;
              if (row.kind === "fold") return <FoldRow key={row.key} row={row} top={top} />;
              return (
                <NodeRow
                  key={row.key}
                  row={row}
                  title={row.key === ROOT ? (model?.summary.pipeline.title ?? null) : null}
                  stoppedBy={model === null ? null : stoppedBy(model.nodes, row.node)}
                  reason={model?.reasonOf(row.node) ?? null}
                  stale={stale.get(row.node.path) ?? null}
                  usual={usual.of.get(row.node.path)}
                  top={top}
                  now={tickingTime(row.node, now)}
                  settled={settled}
                  revision={row.node.revision}
                  current={item.index === place}
                  selected={selected.has(row.key)}
                  check={filter?.checkOf(row.key) ?? null}
                  colour={filter?.colourOf(row.key) ?? ""}
                  output={filter === null ? null : (session.outputCounts.get(row.key) ?? null)}
                />
              );
            })}
          </div>
        </div>
        {rows.length < MIN_MAPPED ? null : <Minimap rows={rows} scroll={scroll} />}
      </div>
    </div>
  );
}

/** A quick filter of the output; the options of the output have it, too. */
function OnlyFailed({ isOn }: { isOn: boolean }) {
  return (
    <>
      Shown in the output{" "}
      <button
        type="button"
        tabIndex={-1}
        onClick={() => setQuery({ failed: isOn ? null : "1" }, true)}
      >
        {isOn ? "All" : "Only failed"}
      </button>
    </>
  );
}

/** The first node row from `index` on, in the direction of `step`. */
function nodeFrom(rows: readonly Row[], index: number, step: 1 | -1): Row | undefined {
  for (let at = index; at >= 0 && at < rows.length; at += step) {
    if (rows[at]?.kind === "node") return rows[at];
  }
  return undefined;
}

function openOrEnter(session: PipelineSession, row: Row | undefined, enter: () => void): void {
  if (row?.kind !== "node" || row.open === null) return;
  if (row.open) enter();
  else session.setOpen(row.key, true);
}

function closeOrLeave(
  session: PipelineSession,
  row: Row | undefined,
  leave: (path: string) => void,
): void {
  if (row?.kind !== "node") return;
  if (row.open === true && row.key !== ROOT) {
    session.setOpen(row.key, false);
    return;
  }
  const parent = parentOf(row.top);
  if (parent !== null) leave(parent);
}
