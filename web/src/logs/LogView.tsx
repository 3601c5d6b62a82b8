import { useEffect, useState, type ReactNode } from "react";

import { api } from "@/api/client";
import { LoadError } from "@/components/EmptyState";
import { LogLines, LogPanel, type LogScroll, useLogScroll } from "@/components/LogLines";
import { Menu } from "@/components/Menu";
import { useSetting } from "@/lib/settings";
import { plural } from "@/lib/time";
import { type Output, type OutputLocation, streamsOf } from "@/logs/live/output";
import { useLiveVersion } from "@/api/stream";
import { useOutput } from "@/logs/live/useOutput";
import { STREAM_LABELS } from "@/logs/model/outputPlaces";
import { FirstError, useFirstError } from "@/run/node/FirstError";
import { LogSearchField, type Match, useLogSearch } from "@/logs/LogSearch";
import styles from "@/logs/LogView.module.css";
import { outputLine } from "@/logs/outputLine";
import { MAX_LINES, useFolding } from "@/logs/useFolding";
import { useLineLinks, useLinkedLines } from "@/logs/useLineLinks";
import { useVisibleLines } from "@/logs/useVisibleLines";

const linesText = (count: string, running: boolean) => (running ? `${count} so far` : count);

interface Props extends OutputLocation {
  running: boolean;
  failed: boolean;
  command: string;
  /** When the attempt started, in seconds. */
  started: number | null;
  /** stderr has output. */
  hasErrors: boolean;
  /** Controls before those of the log. */
  tools: ReactNode;
  /** Facts below the lines. */
  facts: readonly string[];
}

export function LogView(props: Props) {
  const output = useOutput(props, props.running);
  return output === null ? null : <Lines output={output} {...props} />;
}

function Lines({ output, ...props }: Props & { output: Output }) {
  useLiveVersion(output);
  const [showTimes] = useSetting("lineTimes");
  const [match, setMatch] = useState<Match | null>(null);
  const linked = useLinkedLines();
  const error = useFirstError(props, output, props.failed);
  const search = useLogSearch(props, output);
  const folding = useFolding(output, [
    props.failed ? error.line : null,
    linked?.first ?? null,
    match?.line ?? null,
  ]);
  const { rows } = folding;
  const log = useLogScroll(rows.count, linked === null, true);
  const scrollTo = (line: number) => log.scrollTo(rows.rowOf(line));
  useVisibleLines(output, rows, log);
  const link = useLineLinks(props, linked, output.total ?? 0, scrollTo);
  useEffect(() => {
    if (match !== null) scrollTo(match.line);
    // The group of the match is open only now.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [match]);
  const tools = (
    <>
      {props.tools}
      <LogSearchField search={search} match={match} onMatch={setMatch} />
      <FirstError error={error} onFound={scrollTo} />
      <span className={styles.space} />
      <LogMenu log={log} location={props} />
    </>
  );
  const marks = [
    ...(search.matches ?? []).map(({ line }) => ({
      index: rows.rowOf(line),
      kind: "match" as const,
    })),
    ...(error.line === null ? [] : [{ index: rows.rowOf(error.line), kind: "error" as const }]),
  ];
  return (
    <LogPanel
      label="Output"
      tools={tools}
      foot={<Facts output={output} running={props.running} facts={props.facts} />}
    >
      {output.error === null ? null : (
        <LoadError message={output.error} onRetry={() => output.retry()} />
      )}
      <LogLines
        log={log}
        label={STREAM_LABELS[props.stream]}
        first={<span title={props.command}>$ {props.command.split("\n")[0]}</span>}
        marks={marks}
        line={(row) => {
          const place = rows.placeAt(row);
          const line = outputLine(output, place, {
            start: showTimes ? props.started : null,
            marksErrors: props.stream === "all" && props.hasErrors,
            folding,
            onToggle: () => log.setFollow(false),
          });
          return {
            ...line,
            marked: match?.line === place ? match.text : null,
            note: error.line === place ? "First error" : null,
            linked: linked !== null && linked.first <= place && place <= linked.last,
            onLink: (shift) => {
              log.setFollow(false);
              link(place, shift);
            },
          };
        }}
      />
    </LogPanel>
  );
}

function LogMenu({ log, location }: { log: LogScroll; location: OutputLocation }) {
  const { id, path, attempt, stream } = location;
  const [showTimes, setShowTimes] = useSetting("lineTimes");
  return (
    <Menu
      label="Output options"
      entries={[
        { label: "Follow", checked: log.follow, onSelect: () => log.setFollow(!log.follow) },
        { label: "Wrap", checked: log.wrap, onSelect: () => log.setWrap(!log.wrap) },
        { label: "Times", checked: showTimes, onSelect: () => setShowTimes(!showTimes) },
        ...streamsOf(stream).map((one) => ({
          label: `Download ${one}`,
          download: api.logFile(id, { path, attempt, stream: one }),
        })),
      ]}
    />
  );
}

function Facts(props: { output: Output; running: boolean; facts: readonly string[] }) {
  const { output, running, facts } = props;
  const { total } = output;
  return (
    <>
      <span>
        {total === null ? "counting lines…" : linesText(plural(total, "line"), running)}
        {total === null || total <= MAX_LINES
          ? null
          : `; the last ${MAX_LINES.toLocaleString("en")} are shown, the download has all`}
      </span>
      {facts.map((fact) => (
        <span key={fact}>{fact}</span>
      ))}
    </>
  );
}
