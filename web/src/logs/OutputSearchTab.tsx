import { useState, type SyntheticEvent } from "react";

import { Button } from "@/components/Button";
import { StateIcon } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { followLink, outputUrl, setQuery, useLocation } from "@/lib/location";
import { visible } from "@/lib/visible";
import { type FoundLine, type FoundNode, OutputSearch } from "@/logs/live/outputSearch";
import type { PipelineSession } from "@/run/live/session";
import { useLive, useLiveVersion } from "@/api/stream";
import { plural } from "@/lib/time";
import { displayState, NO_COUNTS, total } from "@/run/model/states";
import styles from "@/logs/OutputSearch.module.css";

const foundText = (lines: number, nodes: number, finished: boolean) => {
  if (lines > 0) return `${plural(lines, "line")} in ${plural(nodes, "node")}`;
  return finished ? "No matching lines" : "No matching lines so far";
};

const searchedText = (done: number, all: number | null) =>
  all === null
    ? `${plural(done, "command")} searched`
    : `${done.toLocaleString("en")} of ${plural(all, "command")} searched`;

const unreadText = (count: number, seconds: number) =>
  `Not yet: ${count.toLocaleString("en")}, trying again ${seconds > 0 ? `in ${seconds}s` : "now"}`;

interface Props {
  session: PipelineSession;
  /** The group whose commands are searched. */
  path: string;
}

/** Searches the output of all commands of a group. The search is in the URL. */
export function OutputSearchTab({ session, path }: Props) {
  const { query } = useLocation();
  const text = query.get("find") ?? "";
  const [regex, failed] = [query.has("regex"), query.has("failed")];
  const commands = total(session.model?.nodes.get(path)?.counts ?? NO_COUNTS);
  const key = [path, text, regex, failed].join(" ");
  return (
    <div className={styles.search}>
      <SearchForm key={`form ${key}`} text={text} regex={regex} failed={failed} />
      {text === "" ? (
        <p
          className={styles.hint}
        >{`Searches the newest output of ${plural(commands, "command")}, in any case.`}</p>
      ) : (
        <Results
          key={key}
          id={session.id}
          path={path}
          query={{ text, regex, failed }}
          commands={failed ? null : commands}
        />
      )}
    </div>
  );
}

function SearchForm(given: { text: string; regex: boolean; failed: boolean }) {
  const [text, setText] = useState(given.text);
  const flag = (name: "regex" | "failed") => (
    <label className={styles.flag}>
      <input
        type="checkbox"
        checked={given[name]}
        onChange={() => setQuery({ [name]: given[name] ? null : "1", find: text }, true)}
      />
      {name === "regex" ? "Regular expression" : "Failed only"}
    </label>
  );
  const onSubmit = (event: SyntheticEvent) => {
    event.preventDefault();
    setQuery({ find: text }, true);
  };
  return (
    <form className={styles.form} role="search" onSubmit={onSubmit}>
      <input
        className={`field ${styles.field ?? ""}`}
        type="search"
        placeholder="Search the output of all commands"
        aria-label="Search the output of all commands"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      {flag("failed")}
      {flag("regex")}
      <Button type="submit" disabled={text === ""}>
        Search
      </Button>
    </form>
  );
}

interface ResultsProps {
  id: string;
  path: string;
  query: { text: string; regex: boolean; failed: boolean };
  /** Number of commands; null if unknown. */
  commands: number | null;
}

function Results({ id, path, query, commands }: ResultsProps) {
  const search = useLive(() => new OutputSearch(id, path, query), "");
  return search === null ? null : <Found id={id} search={search} commands={commands} />;
}

function Found(props: { id: string; search: OutputSearch; commands: number | null }) {
  const { id, search, commands } = props;
  useLiveVersion(search);
  const { found, lines, searched, phase, error, unread, nextTry } = search;
  const now = useNow(unread > 0);
  const finished = phase === "finished";
  const left = commands === null ? unread : Math.max(unread, commands - searched);
  return (
    <>
      <div className={styles.status}>
        <p role="status">
          {foundText(lines, found.length, finished)}
          <span className={styles.progress}>
            {searchedText(searched, finished ? null : commands)}
          </span>
          {nextTry === null ? null : (
            <span className={styles.progress}>{unreadText(left, Math.round(nextTry - now))}</span>
          )}
        </p>
        {phase === "searching" ? <Button onClick={() => search.stop()}>Stop</Button> : null}
        {phase === "paused" ? <Button onClick={() => search.resume()}>Show more</Button> : null}
      </div>
      {error === null ? null : (
        <p className={styles.error} role="alert">
          {error}
        </p>
      )}
      <div className={styles.results}>
        {found.map((one) => (
          <FoundIn key={one.node.path} id={id} found={one} />
        ))}
      </div>
    </>
  );
}

function FoundIn({ id, found }: { id: string; found: FoundNode }) {
  const { node, attempt, lines, more } = found;
  return (
    <section className={styles.node} aria-label={visible(node.path)}>
      <h3 className={styles.head}>
        <StateIcon state={displayState(node)} label />
        <a href={outputUrl(id, { node: node.path, attempt })} onClick={followLink}>
          {visible(node.path)}
        </a>
        <span className={styles.count}>
          {more ? `${lines.length}+ lines` : plural(lines.length, "line")}
        </span>
      </h3>
      {lines.map((line) => (
        <Line key={`${line.stream} ${line.match.offset}`} id={id} found={found} line={line} />
      ))}
    </section>
  );
}

function Line({ id, found, line }: { id: string; found: FoundNode; line: FoundLine }) {
  const { stream, match } = line;
  const place = { node: found.node.path, attempt: found.attempt, stream };
  const number = match.line === null ? null : match.line + 1;
  const [start, end] = [Math.max(0, match.start - 80), match.end];
  return (
    <a
      className={styles.line}
      href={outputUrl(id, { ...place, line: number })}
      onClick={followLink}
      title={stream}
    >
      <span className={`${styles.number ?? ""} number`}>{number?.toLocaleString("en")}</span>
      <span className={styles.stream}>{stream === "stderr" ? "err" : ""}</span>
      <span className={styles.text}>
        {start === 0 ? "" : "…"}
        {plain(match.text.slice(start, match.start))}
        <mark>{plain(match.text.slice(match.start, end))}</mark>
        {plain(match.text.slice(end))}
      </span>
    </a>
  );
}

/** A part of a line without colours, with tabs and hidden characters shown. */
function plain(text: string): string {
  return visible(text.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, "").replaceAll("\t", "    "));
}
