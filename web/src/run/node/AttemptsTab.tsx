import { useState } from "react";

import type { AttemptRecord, CacheSource, NodeDetail } from "@/api/schema";
import { ActorLabel } from "@/components/ActorLabel";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { EmptyState } from "@/components/EmptyState";
import { Change, FactsTable } from "@/components/Facts";
import { StateLabel } from "@/components/StateIcon";
import { debugCommand } from "@/lib/commands";
import { followLink, pipelineUrl, setQuery } from "@/lib/location";
import { dollars } from "@/lib/money";
import { duration, moment, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { differences } from "@/run/model/attempts";
import { size } from "@/results/model/resources";
import { failureText } from "@/run/model/states";
import styles from "@/run/node/AttemptsTab.module.css";
import messageStyles from "@/run/node/ErrorMessage.module.css";
import { OutputDiff } from "@/logs/OutputDiff";
import { ResourceCharts } from "@/results/ResourceCharts";

/** Only the newest attempts show resource charts. */
const MAX_CHARTS = 5;

/** All attempts of a command, newest first, and a comparison of two. */
export function AttemptsTab({ session, detail }: { session: PipelineSession; detail: NodeDetail }) {
  const { attempts } = detail.node;
  const newest = attempts.length > 1 ? attempts.slice(-2).map(({ number }) => number) : [];
  const [compared, setCompared] = useState<readonly number[]>(newest);
  if (attempts.length === 0) {
    return (
      <EmptyState
        icon="rerun"
        title="Not run yet"
        text="Each attempt appears here with its times, memory, exit code and container. Two attempts can be compared."
        docs="concepts/attempts-and-history"
      />
    );
  }
  const pair = compared.flatMap((number) => attempts.filter((one) => one.number === number));
  const toggle = (number: number) =>
    setCompared(
      compared.includes(number)
        ? compared.filter((one) => one !== number)
        : [...compared.slice(-1), number].toSorted((a, b) => a - b),
    );
  const [first, second] = pair;
  return (
    <div className={styles.attempts}>
      {attempts.length > 1 && second === undefined ? (
        <p className="muted">
          {first === undefined
            ? "Select two attempts to compare them."
            : `Select an attempt to compare with attempt ${first.number}.`}
        </p>
      ) : null}
      {first !== undefined && second !== undefined ? (
        <Comparison id={session.id} first={first} second={second} />
      ) : null}
      <ol>
        {attempts.toReversed().map((attempt, age) => (
          <li key={`${attempt.path} ${attempt.number}`} className={styles.attempt}>
            <div className={styles.line}>
              {attempts.length > 1 ? (
                <input
                  type="checkbox"
                  aria-label={`Compare attempt ${attempt.number}`}
                  checked={compared.includes(attempt.number)}
                  onChange={() => toggle(attempt.number)}
                />
              ) : null}
              <strong>{`Attempt ${attempt.number}`}</strong>
              {attempt.actor === null ? null : (
                <span className="muted">
                  {"by "}
                  <ActorLabel actor={attempt.actor} />
                </span>
              )}
              <StateLabel state={attempt.state} />
              <span className="state-error">{failureText(attempt.cause, attempt.exit_code)}</span>
              <span className="page-grow" />
              <Button
                variant="quiet"
                onClick={() => setQuery({ attempt: String(attempt.number), tab: null })}
              >
                Output
              </Button>
            </div>
            <AttemptFacts attempt={attempt} />
            {age < MAX_CHARTS ? (
              // The key discards the chart of the previous node.
              <ResourceCharts key={attempt.path} id={session.id} attempt={attempt} />
            ) : null}
            {attempt.message === null ? null : (
              <pre className={messageStyles.message} tabIndex={0}>
                {attempt.message}
              </pre>
            )}
            {attempt.snapshot === null ? null : (
              <SnapshotCommand id={session.id} attempt={attempt} />
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}

/** The command for a shell with the files of a failed attempt. */
function SnapshotCommand({
  id,
  attempt: { path, number },
}: {
  id: string;
  attempt: AttemptRecord;
}) {
  const command = debugCommand(id, path, { attempt: number, snapshot: true });
  return (
    <p className={styles.line}>
      <span className="muted">Snapshot:</span>
      <code className="clip">{command}</code>
      <CopyButton text={command} label={`Copy the debug command of attempt ${number}`} />
    </p>
  );
}

function AttemptFacts({ attempt }: { attempt: AttemptRecord }) {
  const { queued, started, ended } = attempt;
  const facts: string[] = [];
  if (started !== null) facts.push(`started ${moment(started)}`);
  if (queued !== null && started !== null) facts.push(`waited ${duration(started - queued)}`);
  if (started !== null && ended !== null) facts.push(`ran ${duration(ended - started)}`);
  if (attempt.container !== null) facts.push(inContainer(attempt));
  if (attempt.peak_memory !== null) {
    facts.push(`peak ${size(attempt.peak_memory)}`);
  }
  if (attempt.not_stored !== null) facts.push(`not stored: ${attempt.not_stored}`);
  return (
    <>
      {attempt.from_cache === null ? null : <FromCache source={attempt.from_cache} />}
      <p className={`muted number ${styles.facts}`}>{facts.join(" · ")}</p>
      {attempt.cache === null ? null : <p className="muted">{`Cache: ${attempt.cache}`}</p>}
    </>
  );
}

/** The attempt whose outcome a command has that did not run. */
function FromCache({ source }: { source: CacheSource }) {
  const { pipeline, path, attempt, seconds, dollars: cost } = source;
  const saved = seconds === null ? "" : ` · saved ${duration(seconds)}`;
  const money = cost === null ? "" : `, ${dollars(cost)}`;
  return (
    <p>
      {"From cache "}
      <a href={pipelineUrl(pipeline, path)} onClick={followLink}>
        {pipeline}
      </a>
      <span className="muted">{` ${visible(path)} attempt ${attempt}${saved}${money}`}</span>
    </p>
  );
}

function inContainer({ container, position }: AttemptRecord): string {
  if (position === null) return `in ${container ?? ""}`;
  const before = position === 0 ? "fresh" : `after ${plural(position, "other command")}`;
  return `in ${container ?? ""} (${before})`;
}

interface ComparisonProps {
  id: string;
  first: AttemptRecord;
  second: AttemptRecord;
}

function Comparison({ id, first, second }: ComparisonProps) {
  const found = differences(first, second);
  return (
    <section className={styles.compare} aria-label="Differences">
      <h2>{`Attempt ${first.number} and ${second.number}`}</h2>
      {found.length === 0 ? (
        <p className="muted">Command, environment, image, size and outcome are the same.</p>
      ) : (
        <FactsTable rows={found.map((one) => [one.label, <Change key={one.label} {...one} />])} />
      )}
      <OutputDiff id={id} first={first} second={second} stream="stdout" />
      <OutputDiff id={id} first={first} second={second} stream="stderr" />
    </section>
  );
}
