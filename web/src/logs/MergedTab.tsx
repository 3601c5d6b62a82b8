import { useEffect, useLayoutEffect, useMemo, useRef, useState, type SyntheticEvent } from "react";

import { useLive, useLiveVersion } from "@/api/stream";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Icon } from "@/components/Icon";
import { Loading } from "@/components/Loading";
import { LogLines, LogPanel, type LogScroll, useLogScroll } from "@/components/LogLines";
import segments from "@/components/Segments.module.css";
import { StateIcon } from "@/components/StateIcon";
import { Menu } from "@/components/Menu";
import { useKeys } from "@/components/useKeys";
import { useMediaQuery } from "@/components/useMediaQuery";
import { useNow } from "@/components/useNow";
import { parseLine, PLAIN } from "@/lib/ansi";
import { followLink, outputUrl, setQuery, useLocation } from "@/lib/location";
import { useSetting } from "@/lib/settings";
import { duration, moment, plural, sinceStart } from "@/lib/time";
import { visible } from "@/lib/visible";
import { type MergedFilter, MergedOutput } from "@/logs/live/mergedOutput";
import {
  colourOf,
  nextOf,
  outputCounts,
  type Row,
  rowsOf,
  searchedText,
  shownIn,
  sourceOf,
  unreadText,
} from "@/logs/model/merged";
import { DensityStrip } from "@/logs/DensityStrip";
import styles from "@/logs/MergedTab.module.css";
import { useOutputFilter } from "@/logs/useOutputFilter";
import type { PipelineSession } from "@/run/live/session";
import { nameOf } from "@/run/model/paths";
import { Tree } from "@/run/tree/Tree";
import { NO_COUNTS, total } from "@/run/model/states";

const NOTHING: ReadonlySet<string> = new Set();
const LEVELS = [null, "warning", "error"] as const;
/** Streams of a command, and the services beside it. */
const MERGED_STREAMS = ["stdout", "stderr", "services"] as const;
const LEVEL_LABELS = { warning: "Warnings", error: "Errors" };
/** Rows from the top at which earlier lines are requested. */
const NEAR_START = 30;

interface Props {
  session: PipelineSession;
  /** The group whose commands are shown. */
  path: string;
}

/** What the URL selects. */
function filterOf(path: string, query: URLSearchParams): MergedFilter {
  const text = query.get("find") ?? "";
  const level = LEVELS.find((one) => one !== null && one === query.get("level"));
  const stream = MERGED_STREAMS.find((one) => one === query.get("stream"));
  const { nodes, hidden } = shownIn(query, path);
  return {
    root: path,
    ...(text === "" ? {} : { text, regex: query.has("regex") }),
    ...(level === undefined || level === null ? {} : { level }),
    ...(stream === undefined ? {} : { stream }),
    ...(nodes.length === 0 ? {} : { nodes: nodes.join("\n") }),
    ...(hidden.length === 0 ? {} : { hidden: hidden.join("\n") }),
    ...(query.has("failed") ? { failed: true } : {}),
    ...(query.get("services") === "0" ? { services: false } : {}),
  };
}

/** The output of all commands of a group in one sequence. The filter is in the URL. */
export function MergedTab({ session, path }: Props) {
  const { query } = useLocation();
  useOutputFilter(session, path);
  const filter = filterOf(path, query);
  const counts = session.model?.nodes.get(path)?.counts ?? NO_COUNTS;
  const running = counts.running + counts.queued > 0;
  const [showTimes] = useSetting("lineTimes");
  const key = JSON.stringify(filter);
  const output = useLive(() => new MergedOutput(session.id, filter, running, total(counts)), key);
  useEffect(() => output?.setRunning(running), [output, running]);
  const [isFiltering, setFiltering] = useState(false);
  if (output === null) return null;
  return (
    <>
      <Lines
        key={key}
        session={session}
        root={path}
        output={output}
        filter={filter}
        active={counts.running}
        start={showTimes ? (session.model?.summary.started ?? null) : null}
        onFilter={() => setFiltering(true)}
      />
      {isFiltering ? (
        <Dialog title="Filter" onClose={() => setFiltering(false)}>
          <div className={styles.sheet}>
            <Tree session={session} current={path} selected={NOTHING} onSelect={() => undefined} />
          </div>
        </Dialog>
      ) : null}
    </>
  );
}

interface LinesProps {
  session: PipelineSession;
  root: string;
  output: MergedOutput;
  filter: MergedFilter;
  /** Number of commands that run. */
  active: number;
  start: number | null;
  /** Show the tree as a filter, where there is no room for it beside the output. */
  onFilter: () => void;
}

function Lines({ session, root, output, filter, active, start, onFilter }: LinesProps) {
  useLiveVersion(output);
  useOutputCounts({ session, root, output, filter });
  const { lines } = output;
  const [chosen, setChosen] = useState<ReadonlyMap<string, boolean>>(new Map());
  const rows = useMemo(() => rowsOf(lines, chosen), [lines, chosen]);
  const errors = useMemo(
    () => rows.flatMap(({ line }, at) => (line.level === "error" ? [at] : [])),
    [rows],
  );
  const marks = useMemo(
    () =>
      rows.flatMap(({ line: { level } }, index) =>
        level === "info" ? [] : [{ index, kind: level }],
      ),
    [rows],
  );
  const isNarrow = useMediaQuery("(max-width: 720px)");
  const log = useLogScroll(rows.length, true, false, isNarrow);
  const [current, setCurrent] = useState<string | null>(null);
  const fresh = useFreshLines(lines.length === 0 ? null : (lines.at(-1)?.key ?? null), rows, log);
  useEarlierLines(output, rows, log);
  const at = current === null ? null : rows.findIndex(({ line }) => line.key === current);
  const toError = (step: 1 | -1) => {
    const found = nextOf(errors, at ?? (step > 0 ? null : rows.length), step);
    if (found === null) return;
    setCurrent(rows[found]?.line.key ?? null);
    log.scrollTo(found);
  };
  useKeys({ "]": () => toError(1), "[": () => toError(-1), ".": toggleRegex });
  const tools = (
    <>
      <Search filter={filter} />
      <Levels filter={filter} />
      <Errors
        count={errors.length}
        at={at === null ? -1 : errors.indexOf(at)}
        more={output.hasEarlier}
        onStep={toError}
      />
      <span className={styles.space} />
      <Options filter={filter} log={log} onFilter={isNarrow ? onFilter : null} />
    </>
  );
  return (
    <LogPanel
      label="Output of all commands"
      wraps
      tools={tools}
      foot={<Foot output={output} log={log} fresh={fresh} />}
    >
      <Truth output={output} filter={filter} />
      {output.error === null ? null : (
        <LoadError message={output.error} onRetry={() => output.restart()} />
      )}
      {rows.length === 0 ? (
        <Empty output={output} filter={filter} active={active} />
      ) : (
        <LogLines
          log={log}
          label="Output of all commands"
          marks={marks}
          line={(index) => {
            const onToggle = (key: string, open: boolean) => {
              log.setFollow(false);
              setChosen(new Map(chosen).set(key, open));
            };
            return lineOf({ id: session.id, row: rows[index], index, start, current, onToggle });
          }}
        />
      )}
      <DensityStrip rows={rows} log={log} />
    </LogPanel>
  );
}

/** Show the numbers of lines in the tree. */
function useOutputCounts({
  session,
  root,
  output: { lines, loaded, hasEarlier: more },
  filter: { text },
}: Pick<LinesProps, "session" | "root" | "output" | "filter">): void {
  const searched = text !== undefined;
  useEffect(() => {
    if (loaded) session.setOutputCounts(outputCounts(lines, root, { searched, more }));
  }, [session, root, lines, loaded, searched, more]);
}

interface RowProps {
  id: string;
  row: Row | undefined;
  index: number;
  /** When the pipeline started; null to show no times. */
  start: number | null;
  /** The key of the current error. */
  current: string | null;
  onToggle: (group: string, open: boolean) => void;
}

/** The properties of a row. */
function lineOf({ id, row, index, start, current, onToggle }: RowProps) {
  if (row === undefined) return { number: index, spans: undefined, marked: null };
  const { line, count, named, group } = row;
  const { level, match, text } = line;
  return {
    number: index,
    spans: parseLine(text, PLAIN).spans,
    marked: match === null ? null : text.slice(match[0], match[1]),
    ...(start === null
      ? {}
      : { time: [sinceStart(line.time - start), moment(line.time)] as const }),
    prefix: <Prefix id={id} row={row} />,
    named,
    group:
      group === null
        ? null
        : {
            title: line.marker?.[1] ?? text,
            open: group.open,
            note: `${plural(group.count, "line")}, ${duration(group.until - line.time)}`,
            onToggle: () => onToggle(group.key, !group.open),
          },
    tint: level === "info" ? null : level,
    linked: line.key === current,
    count: count > 1 ? `× ${count.toLocaleString("en")}` : null,
  };
}

function Prefix({ id, row }: { id: string; row: Row }) {
  const { line, named } = row;
  const { path, attempt, stream, service } = line;
  return (
    <a
      className={styles.prefix}
      style={{ color: colourOf(sourceOf(line)) }}
      href={outputUrl(id, { node: path, attempt, stream })}
      onClick={followLink}
      title={service === null ? visible(path) : `Service ${service} of ${visible(path)}`}
      tabIndex={named ? 0 : -1}
      {...(named ? {} : { "aria-hidden": true })}
    >
      <i className={service === null ? styles.swatch : styles.beside} aria-hidden />
      {named && service !== null ? <span>{visible(service)}</span> : null}
      <span className={service === null ? "clip" : "clip muted"}>
        {named ? visible(nameOf(path)) : ""}
      </span>
    </a>
  );
}

/** Rows that arrived since the log stopped following. */
function useFreshLines(newest: string | null, rows: readonly Row[], log: LogScroll): number {
  const seen = useRef(newest);
  useEffect(() => {
    if (log.follow) seen.current = newest;
  }, [log.follow, newest]);
  if (log.follow || seen.current === newest) return 0;
  const last = rows.findLastIndex(({ line }) => line.key === seen.current);
  return last < 0 ? 0 : rows.length - 1 - last;
}

/** Request earlier lines near the start, and keep the lines in view where they are. */
function useEarlierLines(output: MergedOutput, rows: readonly Row[], log: LogScroll): void {
  const { virtual, scroll } = log;
  const top = virtual.getVirtualItems()[0]?.index ?? 0;
  const moved = !log.follow;
  useEffect(() => {
    if (moved && top < NEAR_START) output.loadEarlier();
  }, [output, top, moved, rows]);
  const before = useRef<readonly Row[]>(rows);
  useLayoutEffect(() => {
    const [first] = before.current;
    const added = rows.findIndex(({ line }) => line.key === first?.line.key);
    before.current = rows;
    if (added > 0 && moved && scroll.current !== null) {
      const size = virtual.getOffsetForIndex(added, "start")?.[0] ?? 0;
      scroll.current.scrollTop += size;
    }
  }, [rows, moved, virtual, scroll]);
}

function toggleRegex(): void {
  const isOn = new URLSearchParams(location.search).has("regex");
  setQuery({ regex: isOn ? null : "1" }, true);
}

function Search({ filter: { text = "", regex = false } }: { filter: MergedFilter }) {
  const [typed, setTyped] = useState(text);
  const field = useRef<HTMLInputElement>(null);
  const onSubmit = (event: SyntheticEvent) => {
    event.preventDefault();
    setQuery({ find: typed === "" ? null : typed }, true);
  };
  const pressed = useLocation().query.has("regex");
  return (
    <form className={styles.search} role="search" onSubmit={onSubmit}>
      <input
        ref={field}
        className={`field ${styles.field ?? ""}`}
        type="search"
        placeholder="Search the output of all commands"
        aria-label="Search the output of all commands"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          if (event.target.value === "" && text !== "") setQuery({ find: null }, true);
        }}
      />
      <Button
        className={styles.regex ?? ""}
        aria-pressed={regex || pressed}
        aria-label="Regular expression"
        title="Regular expression: ."
        onClick={() =>
          setQuery({ regex: pressed ? null : "1", find: typed === "" ? null : typed }, true)
        }
      >
        .*
      </Button>
    </form>
  );
}

function Levels({ filter }: { filter: MergedFilter }) {
  return (
    <div className={segments.segments} role="group" aria-label="Level">
      {LEVELS.map((level) => (
        <Button
          key={level}
          aria-pressed={level === (filter.level ?? null)}
          aria-label={level === null ? "All levels" : LEVEL_LABELS[level]}
          onClick={() => setQuery({ level }, true)}
        >
          {level === null ? (
            "All"
          ) : (
            <>
              <StateIcon state={level} />
              <span className={styles.long}>{LEVEL_LABELS[level]}</span>
            </>
          )}
        </Button>
      ))}
    </div>
  );
}

interface ErrorsProps {
  count: number;
  /** The place of the current one; -1 for none. */
  at: number;
  /** There may be more in earlier lines. */
  more: boolean;
  onStep: (step: 1 | -1) => void;
}

function Errors({ count, at, more, onStep }: ErrorsProps) {
  if (count === 0) return null;
  const all = `${count.toLocaleString("en")}${more ? "+" : ""}`;
  return (
    <span className={styles.errors} role="group" aria-label="Errors">
      <Button
        variant="quiet"
        aria-label="Previous error"
        title="Previous error: ["
        onClick={() => onStep(-1)}
      >
        ‹
      </Button>
      <span className="number" role="status">
        {`${at < 0 ? "" : `${at + 1} of `}${all} ${count === 1 && !more ? "error" : "errors"}`}
      </span>
      <Button
        variant="quiet"
        aria-label="Next error"
        title="Next error: ]"
        onClick={() => onStep(1)}
      >
        ›
      </Button>
    </span>
  );
}

interface OptionsProps {
  filter: MergedFilter;
  log: LogScroll;
  /** Null: the tree is beside the output. */
  onFilter: (() => void) | null;
}

function Options({ filter, log, onFilter }: OptionsProps) {
  const [showTimes, setShowTimes] = useSetting("lineTimes");
  const { nodes, hidden, failed } = filter;
  const isFiltered = (nodes ?? hidden ?? failed) !== undefined;
  return (
    <>
      {onFilter !== null ? (
        <Button aria-pressed={isFiltered} onClick={onFilter}>
          Filter
        </Button>
      ) : isFiltered ? (
        <Button onClick={() => setQuery({ nodes: null, hidden: null, failed: null }, true)}>
          Show all
        </Button>
      ) : null}
      <Menu
        label="Output options"
        entries={[
          ...[null, ...MERGED_STREAMS].map((one) => ({
            label: one === null ? "All output" : `Only ${one}`,
            checked: one === (filter.stream ?? null),
            onSelect: () => setQuery({ stream: one }, true),
          })),
          {
            label: "Services beside commands",
            checked: filter.services !== false && (filter.stream ?? "services") === "services",
            onSelect: () =>
              setQuery({ services: filter.services === false ? null : "0", stream: null }, true),
          },
          "separator" as const,
          {
            label: "Only failed commands",
            checked: failed !== undefined,
            onSelect: () => setQuery({ failed: failed === undefined ? "1" : null }, true),
          },
          "separator" as const,
          { label: "Follow", checked: log.follow, onSelect: () => log.setFollow(!log.follow) },
          { label: "Wrap", checked: log.wrap, onSelect: () => log.setWrap(!log.wrap) },
          { label: "Times", checked: showTimes, onSelect: () => setShowTimes(!showTimes) },
        ]}
      />
    </>
  );
}

/** The numbers of searched and of unread commands, with reasons. */
function Truth({ output, filter }: { output: MergedOutput; filter: MergedFilter }) {
  const { commands, left, unread, nextTry, reading } = output;
  const now = useNow(nextTry !== null);
  const filtered = filter.text !== undefined || filter.level !== undefined;
  const missing = unreadText(unread, nextTry === null ? null : Math.ceil(nextTry - now));
  if (missing === null && !(output.loaded && filtered)) return null;
  const share = commands === 0 ? 1 : (commands - left) / commands;
  return (
    <div className={styles.truth} role="status">
      {filtered ? (
        <>
          <svg className={styles.track} viewBox="0 0 100 2" preserveAspectRatio="none" aria-hidden>
            <rect width="100" height="2" />
            <rect width={100 * share} height="2" />
          </svg>
          <strong className="number">{searchedText(commands, left)}.</strong>
        </>
      ) : null}
      {missing === null ? null : <span className={styles.missing}>{missing}.</span>}
      {!filtered || !output.hasEarlier ? null : reading ? (
        <Button variant="quiet" onClick={() => output.stop()}>
          Stop
        </Button>
      ) : (
        <Button variant="quiet" onClick={() => output.loadEarlier()}>
          Search further
        </Button>
      )}
    </div>
  );
}

interface EmptyProps {
  output: MergedOutput;
  filter: MergedFilter;
  active: number;
}

function Empty({ output, filter, active }: EmptyProps) {
  const filtered = filter.text !== undefined || filter.level !== undefined;
  if (output.error !== null) return null;
  if (!output.loaded) {
    return (
      <div className={styles.empty}>
        <Loading rows={12} />
      </div>
    );
  }
  const isComplete = !output.hasEarlier && output.unread.length === 0;
  const title = filtered
    ? isComplete
      ? "No matching lines"
      : "No matching lines so far"
    : active > 0
      ? `No output yet; ${plural(active, "command")} running`
      : "No output";
  return (
    <div className={styles.empty}>
      <EmptyState
        icon="terminal"
        title={title}
        text={
          filtered
            ? "The search covers the commands that are checked in the tree, in any case; .* makes it a regular expression."
            : "What all commands below print appears here in one sequence by time. The tree chooses the commands."
        }
        docs="web"
      />
    </div>
  );
}

interface FootProps {
  output: MergedOutput;
  log: LogScroll;
  /** Rows below those that were seen. */
  fresh: number;
}

function Foot({ output, log, fresh }: FootProps) {
  const { lines, commands, dropped } = output;
  const { length } = lines;
  const shown = output.hasEarlier
    ? `${length.toLocaleString("en")}+ lines`
    : plural(length, "line");
  return (
    <>
      <span>{`${plural(commands, "command")}, ${shown}`}</span>
      {dropped ? (
        <span>
          Older lines were dropped.{" "}
          <Button variant="quiet" onClick={() => output.restart()}>
            Reload
          </Button>
        </span>
      ) : (
        <span className={styles.long}>Order within 0.1s may differ</span>
      )}
      <span className={styles.space} />
      {log.follow ? null : (
        <Button variant="quiet" onClick={() => log.setFollow(true)}>
          {fresh === 0 ? "Follow" : `Follow: ${fresh.toLocaleString("en")} new`}
          <Icon name="chevron" />
        </Button>
      )}
    </>
  );
}
