import { useEffect, useRef, useState, type ReactNode } from "react";

import { api } from "@/api/client";
import { LoadError } from "@/components/EmptyState";
import { LogLines, LogPanel, useLogScroll } from "@/components/LogLines";
import { Menu } from "@/components/Menu";
import { setQuery, useLocation } from "@/lib/location";
import { plural } from "@/lib/time";
import { type LogLocation, LogReader } from "@/live/log";
import { useLive, useLiveVersion } from "@/live/stream";
import { FirstError, useFirstError } from "@/pages/pipeline/node/FirstError";
import { LogSearch, type Match } from "@/pages/pipeline/node/LogSearch";
import styles from "@/pages/pipeline/node/LogView.module.css";
import { OUTPUT } from "@/strings";

/** Browsers limit elements to about 33 million px, so only the newest lines are shown. */
const MAX_LINES = 1_000_000;

interface Props extends LogLocation {
  running: boolean;
  failed: boolean;
  command: string;
  /** Controls before those of the log. */
  tools: ReactNode;
  /** Facts below the lines. */
  facts: readonly string[];
}

function useReader({ id, path, attempt, stream, running }: Props): LogReader | null {
  const key = [id, attempt, stream, path].join(" ");
  const reader = useLive(() => new LogReader({ id, path, attempt, stream }, running), key);
  useEffect(() => reader?.setRunning(running), [reader, running]);
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
  useLiveVersion(reader);
  const linked = linkedLine(useLocation().query);
  const [match, setMatch] = useState<Match | null>(null);
  const total = reader.total ?? 0;
  const base = Math.max(0, total - MAX_LINES);
  const log = useLogScroll(total - base, linked === null, true);
  const { setFollow, scrollTo, virtual } = log;
  const items = virtual.getVirtualItems();
  const from = base + (items[0]?.index ?? 0);
  const to = base + (items.at(-1)?.index ?? 0);
  useEffect(() => {
    if (total > 0) reader.ensureLoaded(from, Math.min(to, total - 1));
  }, [reader, reader.version, from, to, total]);

  // Scroll to a linked line once.
  const shownLine = useRef<number | null>(null);
  useEffect(() => {
    if (linked === null || linked >= total || shownLine.current === linked) return;
    shownLine.current = linked;
    scrollTo(linked - base);
  });
  const link = (line: number) => {
    shownLine.current = line; // already in view
    setFollow(false);
    setQuery({ line: line === linked ? null : String(line + 1) }, true);
  };
  const goTo = (found: Match | null) => {
    setMatch(found);
    if (found !== null) scrollTo(found.line - base);
  };
  const { id, path, attempt, stream } = props;
  const place = { id, path, attempt, stream };
  const error = useFirstError(place, props.failed);
  const tools = (
    <>
      {props.tools}
      <LogSearch location={place} match={match} onMatch={goTo} />
      <FirstError error={error} onFound={(line) => scrollTo(line - base)} />
      <span className={styles.space} />
      <Menu
        label={OUTPUT.more}
        entries={[
          {
            label: OUTPUT.follow,
            checked: log.follow,
            onSelect: () => log.setFollow(!log.follow),
          },
          { label: OUTPUT.wrap, checked: log.wrap, onSelect: () => log.setWrap(!log.wrap) },
          { label: OUTPUT.download, download: api.logFile(id, { path, attempt, stream }) },
        ]}
      />
    </>
  );
  const foot = (
    <>
      <span>
        {reader.total === null
          ? OUTPUT.counting
          : OUTPUT.lines(plural(reader.total, "line"), props.running)}
        {base === 0 ? null : OUTPUT.lastLines(MAX_LINES)}
      </span>
      {props.facts.map((fact) => (
        <span key={fact}>{fact}</span>
      ))}
    </>
  );
  return (
    <LogPanel label={OUTPUT.toolbar} tools={tools} foot={foot}>
      {reader.error === null ? null : (
        <LoadError message={reader.error} onRetry={() => reader.retry()} />
      )}
      <LogLines
        log={log}
        label={stream}
        first={<span title={props.command}>$ {props.command.split("\n")[0]}</span>}
        line={(index) => {
          const number = base + index;
          return {
            number,
            spans: reader.spans(number),
            marked: match?.line === number ? match.text : null,
            note: error.line === number ? OUTPUT.firstError : null,
            linked: number === linked,
            onLink: () => link(number),
          };
        }}
      />
    </LogPanel>
  );
}
