import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

import { api } from "@/api/client";
import { Button } from "@/components/Button";
import { LoadError } from "@/components/EmptyState";
import { setQuery, useLocation } from "@/lib/location";
import { useSetting } from "@/lib/settings";
import { plural } from "@/lib/time";
import { type LogLocation, LogReader } from "@/live/log";
import { LogLine } from "@/pages/pipeline/node/LogLine";
import { LogSearch, type Match } from "@/pages/pipeline/node/LogSearch";

const LINE_HEIGHT = 18;
/** Browsers limit elements to about 33 million px, so only the newest lines are shown. */
const MAX_LINES = 1_000_000;
/** Distance from the end in px up to which the log keeps following. */
const NEAR_END = 24;

interface Props extends LogLocation {
  running: boolean;
}

function useReader({ id, path, attempt, stream, running }: Props): LogReader | null {
  const [reader, setReader] = useState<LogReader | null>(null);
  const first = useRef(running);
  useEffect(() => {
    const opened = new LogReader({ id, path, attempt, stream }, first.current);
    setReader(opened);
    return () => opened.close();
  }, [id, path, attempt, stream]);
  useEffect(() => {
    first.current = running;
    reader?.setRunning(running);
  }, [reader, running]);
  return reader;
}

/** The line in the URL, converted to start at 0. */
function linkedLine(query: URLSearchParams): number | null {
  const asked = Number(query.get("line") ?? 0);
  return Number.isInteger(asked) && asked > 0 ? asked - 1 : null;
}

export function LogView(props: Props) {
  const reader = useReader(props);
  return reader === null ? null : <Lines reader={reader} {...props} />;
}

function Lines({ reader, ...props }: Props & { reader: LogReader }) {
  useSyncExternalStore(reader.subscribe, reader.getVersion);
  const [wrap, setWrap] = useSetting("wrap");
  const linked = linkedLine(useLocation().query);
  const [follow, setFollow] = useState(linked === null);
  const [match, setMatch] = useState<Match | null>(null);
  const scroll = useRef<HTMLDivElement>(null);
  const total = reader.total ?? 0;
  const base = Math.max(0, total - MAX_LINES);
  const virtual = useVirtualizer({
    count: total - base,
    getScrollElement: () => scroll.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 20,
  });
  const items = virtual.getVirtualItems();
  const from = base + (items[0]?.index ?? 0);
  const to = base + (items.at(-1)?.index ?? 0);
  useEffect(() => {
    if (total > 0) reader.ensureLoaded(from, Math.min(to, total - 1));
  }, [reader, reader.version, from, to, total]);
  useEffect(() => {
    if (follow && total > 0) virtual.scrollToIndex(total - base - 1, { align: "end" });
  }, [follow, total, base, virtual, wrap]);

  // Scroll to a linked line once.
  const shownLine = useRef<number | null>(null);
  useEffect(() => {
    if (linked === null || linked >= total || shownLine.current === linked) return;
    shownLine.current = linked;
    setFollow(false);
    virtual.scrollToIndex(Math.max(0, linked - base), { align: "center" });
  }, [linked, total, base, virtual]);
  const link = (line: number) => {
    shownLine.current = line; // already in view
    setFollow(false);
    setQuery({ line: line === linked ? null : String(line + 1) }, true);
  };

  const goTo = (place: Match | null) => {
    setMatch(place);
    if (place === null) return;
    setFollow(false);
    virtual.scrollToIndex(Math.max(0, place.line - base), { align: "center" });
  };
  const onScroll = () => {
    const box = scroll.current;
    if (box === null || !follow) return;
    // New lines move the end away; only scrolling up stops following.
    if (box.scrollHeight - box.scrollTop - box.clientHeight > 10 * NEAR_END) setFollow(false);
  };
  const { id, path, attempt, stream } = props;
  return (
    <div className="log">
      <div className="log-bar" role="toolbar" aria-label="Output">
        <LogSearch location={{ id, path, attempt, stream }} match={match} onMatch={goTo} />
        <span className="phead-grow" />
        <Button
          aria-pressed={follow}
          title="Scroll to new lines"
          onClick={() => setFollow(!follow)}
        >
          Follow
        </Button>
        <Button aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
          Wrap
        </Button>
        <a
          className="button button-plain"
          href={api.logFile(id, { path, attempt, stream })}
          download
        >
          Download
        </a>
      </div>
      {reader.error === null ? null : (
        <LoadError message={reader.error} onRetry={() => reader.retry()} />
      )}
      <div
        ref={scroll}
        className={wrap ? "log-lines log-wrap" : "log-lines"}
        role="log"
        aria-label={stream}
        aria-live="off"
        tabIndex={0}
        onScroll={onScroll}
      >
        {base > 0 ? (
          <p className="muted">
            Showing the last {MAX_LINES.toLocaleString("en")} of {total.toLocaleString("en")} lines;
            download the file to see all.
          </p>
        ) : null}
        <div className="log-body" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const line = base + item.index;
            return (
              <LogLine
                key={item.key}
                number={line}
                top={item.start}
                spans={reader.spans(line)}
                marked={match?.line === line ? match.text : null}
                linked={line === linked}
                onLink={() => link(line)}
                {...(wrap ? { measure: virtual.measureElement, index: item.index } : {})}
              />
            );
          })}
        </div>
      </div>
      <p className="log-foot muted number">
        {reader.total === null ? "counting lines…" : plural(total, "line")}
        {props.running ? " so far" : ""}
      </p>
    </div>
  );
}
