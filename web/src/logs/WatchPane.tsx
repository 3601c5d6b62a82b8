import { useMemo } from "react";

import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { LogLines, useLogScroll } from "@/components/LogLines";
import { StateIcon } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { followLink, pipelineUrl, setQuery } from "@/lib/location";
import { duration, elapsed, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { Output } from "@/logs/live/output";
import type { PipelineSession } from "@/run/live/session";
import { useLiveVersion } from "@/api/stream";
import { useOutput } from "@/logs/live/useOutput";
import { OutputRows } from "@/logs/model/outputGroups";
import { pathsText } from "@/logs/model/outputSearch";
import { nameOf } from "@/run/model/paths";
import { displayState, isFinished } from "@/run/model/states";
import { useNodeDetail } from "@/run/node/NodePane";
import { useVisibleLines } from "@/logs/useVisibleLines";
import styles from "@/logs/WatchPane.module.css";

interface Props {
  session: PipelineSession;
  paths: readonly string[];
}

/** The output of several commands side by side, as it arrives. */
export function WatchPane({ session, paths }: Props) {
  return (
    <section className={styles.pane} aria-label={`Watching ${plural(paths.length, "output")}`}>
      <header className={styles.head}>
        <h2>{`Watching ${plural(paths.length, "output")}`}</h2>
        <Button onClick={() => setQuery({ watch: null })}>Close</Button>
      </header>
      <div className={styles.grid} data-count={paths.length}>
        {paths.map((path) => (
          <Watched
            key={path}
            session={session}
            path={path}
            onClose={() =>
              setQuery({ watch: pathsText(paths.filter((other) => other !== path)) }, true)
            }
          />
        ))}
      </div>
    </section>
  );
}

function Watched(props: { session: PipelineSession; path: string; onClose: () => void }) {
  const { session, path, onClose } = props;
  const detail = useNodeDetail(session, path);
  const node = detail.data?.node;
  const attempt = node?.attempts.at(-1);
  const now = useNow(attempt?.ended === null);
  const took = attempt === undefined ? null : elapsed(attempt.started, attempt.ended, now);
  const missing = detail.isError ? "Node not found" : "Not started";
  return (
    <article className={styles.one} aria-label={visible(path)}>
      <header className={styles.name}>
        {node === undefined ? null : <StateIcon state={displayState(node)} label />}
        <a
          className="clip"
          href={pipelineUrl(session.id, path)}
          onClick={followLink}
          title={visible(path)}
        >
          {visible(nameOf(path))}
        </a>
        <span className={`${styles.time ?? ""} number`}>{took === null ? "" : duration(took)}</span>
        <Button variant="quiet" aria-label={`Stop watching ${visible(path)}`} onClick={onClose}>
          <Icon name="close" />
        </Button>
      </header>
      {attempt === undefined ? (
        <p className={styles.none}>{node === undefined && !detail.isError ? "" : missing}</p>
      ) : (
        <Tail
          key={attempt.number}
          id={session.id}
          path={path}
          attempt={attempt.number}
          running={!isFinished(attempt.state)}
        />
      )}
    </article>
  );
}

interface TailProps {
  id: string;
  path: string;
  attempt: number;
  running: boolean;
}

function Tail({ running, ...attempt }: TailProps) {
  const output = useOutput({ ...attempt, stream: "all" }, running);
  return output === null ? null : <Lines output={output} path={attempt.path} />;
}

function Lines({ output, path }: { output: Output; path: string }) {
  useLiveVersion(output);
  const total = output.total ?? 0;
  const log = useLogScroll(total);
  const rows = useMemo(() => new OutputRows(total, []), [total]);
  useVisibleLines(output, rows, log);
  if (output.error !== null) return <p className={styles.none}>{output.error}</p>;
  if (output.total === 0) return <p className={styles.none}>No output yet</p>;
  return (
    <>
      <LogLines
        log={log}
        label={visible(path)}
        line={(number) => {
          const { spans } = output.lineAt(number);
          return { number, spans, marked: null };
        }}
      />
      {log.follow ? null : (
        <Button className={styles.follow ?? ""} onClick={() => log.setFollow(true)}>
          Follow
        </Button>
      )}
    </>
  );
}
