import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, type KeyboardEvent } from "react";

import { api, messageOf } from "@/api/client";
import type { NodeView, State } from "@/api/schema";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { StateIcon } from "@/components/StateIcon";
import { TypeIcon } from "@/components/TypeIcon";
import { toggled } from "@/lib/arrays";
import { setQuery } from "@/lib/location";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { nameOf, parentOf } from "@/run/model/paths";
import { displayState, failureText, stateLabel, stoppedText } from "@/run/model/states";
import { rowId, rowStyle } from "@/run/tree/NodeRow";
import rowStyles from "@/run/tree/NodeRow.module.css";
import { ROW_HEIGHT } from "@/run/tree/Tree";
import treeStyles from "@/run/tree/Tree.module.css";

const PAGE = 200;
/** Results change while the pipeline runs. */
const REFRESH_MS = 2000;

interface Props {
  session: PipelineSession;
  text: string;
  state: State | null;
  current: string | null;
  selected: ReadonlySet<string>;
  onSelect: (selected: ReadonlySet<string>) => void;
}

/** Search results of the server as a flat list. */
export function SearchResults({ session, text, state, current, selected, onSelect }: Props) {
  const settled = session.model?.summary.settled !== false;
  const found = useInfiniteQuery({
    queryKey: ["search", session.id, text, state],
    queryFn: ({ pageParam, signal }) =>
      api.tree(
        session.id,
        {
          limit: PAGE,
          attempts: "newest",
          ...(text === "" ? {} : { text }),
          ...(state === null ? {} : { state }),
          ...(pageParam === null ? {} : { after: pageParam }),
        },
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    refetchInterval: settled ? false : REFRESH_MS,
  });
  const nodes = found.data?.pages.flatMap((page) => page.nodes) ?? [];
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: nodes.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = found;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && last >= nodes.length - 20) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage, last, nodes.length]);

  if (found.isError) {
    return <LoadError message={messageOf(found.error)} onRetry={() => void found.refetch()} />;
  }
  if (nodes.length === 0) {
    return found.isPending || hasNextPage ? (
      <p className={treeStyles.note}>Searching…</p>
    ) : (
      <EmptyState
        title="No matching nodes"
        text="The search covers paths and commands; * stands for any text within one name: test/*/login."
      />
    );
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (event.key === "Escape") setQuery({ q: null, state: null }, true);
    if (event.key === " " && current !== null) {
      event.preventDefault();
      onSelect(toggled(selected, current));
    }
    if (step === 0) return;
    event.preventDefault();
    const place = nodes.findIndex((node) => node.path === current);
    const next = nodes[Math.min(nodes.length - 1, Math.max(0, place + step))];
    if (next === undefined) return;
    setQuery({ node: next.path, attempt: null }, true);
    virtual.scrollToIndex(nodes.indexOf(next));
  };
  return (
    <div className={treeStyles.tree}>
      <p className={treeStyles.note} role="status">
        {nodes.length.toLocaleString("en")}
        {hasNextPage ? "+" : ""} found
        <button
          type="button"
          className="button button-quiet"
          onClick={() => onSelect(new Set(nodes.map((node) => node.path)))}
        >
          Select {hasNextPage ? "these" : "all"}
        </button>
      </p>
      <div
        ref={scroll}
        className={`${treeStyles.scroll} tree-scroll`}
        role="listbox"
        aria-label="Matching nodes"
        aria-multiselectable
        tabIndex={0}
        onKeyDown={onKeyDown}
        {...(current !== null && items.some(({ index }) => nodes[index]?.path === current)
          ? { "aria-activedescendant": rowId(current) }
          : {})}
      >
        <div
          className={treeStyles.rows}
          role="presentation"
          style={{ height: virtual.getTotalSize() }}
        >
          {items.map((item) => {
            const node = nodes[item.index];
            return node === undefined ? null : (
              <ResultRow
                key={node.path}
                node={node}
                top={item.start}
                current={node.path === current}
                selected={selected.has(node.path)}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  node: NodeView;
  top: number;
  current: boolean;
  selected: boolean;
}

function ResultRow({ node, top, current, selected }: RowProps) {
  const mark = displayState(node);
  const exitCode = node.attempts.at(-1)?.exit_code ?? null;
  const classes = [rowStyles.row];
  if (current) classes.push(rowStyles.current);
  if (selected) classes.push(rowStyles.selected);
  return (
    <div
      id={rowId(node.path)}
      className={classes.join(" ")}
      role="option"
      aria-selected={selected || current}
      style={rowStyle(top, 0)}
      onClick={() => setQuery({ node: node.path, attempt: null })}
    >
      <span className={rowStyles.main}>
        <StateIcon state={mark} label />
        <TypeIcon type={node.type} />
        <span className={`${rowStyles.name} clip`} title={visible(node.path)} data-name>
          {visible(nameOf(node.path))}
        </span>
        <span className="muted clip">{visible(parentOf(node.path) ?? "")}</span>
      </span>
      <span className={`${rowStyles.word} clip state-${mark}`}>
        {node.stopped_by === null
          ? (failureText(node.cause, exitCode) ?? stateLabel(mark))
          : stoppedText(node.stopped_by)}
      </span>
    </div>
  );
}
