import { useState } from "react";

import type { Diagnosis, PipelineChange } from "@/api/schema";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { Icon, type IconName } from "@/components/Icon";
import { useKeys } from "@/components/useKeys";
import { failuresOf, kindLabel, sinceOf } from "@/diagnosis/model/diagnosis";
import styles from "@/diagnosis/WhatChanged.module.css";
import { followLink, navigate, pipelineUrl, programUrl } from "@/lib/location";
import { moment, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { programQuery } from "@/programs/model/programIdentity";
import shared from "@/run/overview/Overview.module.css";

const ICONS: Record<string, IconName> = {
  commit: "branch",
  parameter: "settings",
  image: "image",
  "image digest": "image",
  "base image": "image",
  command: "terminal",
  environment: "settings",
  secrets: "key",
  code: "file",
  results: "data",
};
/** Changes and commits that are shown at first, and names of a change. */
const SHOWN = 6;
const COMMITS = 3;
const NAMES = 4;

interface Props {
  session: PipelineSession;
  found: Diagnosis;
}

/** The differences from the last good pipeline of the program; suspects first. */
export function WhatChanged({ session, found }: Props) {
  const { baseline, earlier, first_bad: firstBad } = found;
  const record = session.model?.summary.pipeline;
  const comparison =
    record === undefined || baseline === null
      ? null
      : programUrl({ ...programQuery(record), before: baseline.id, after: session.id });
  useKeys(comparison === null ? {} : { c: () => navigate(comparison) });
  return (
    <section className={shared.card} aria-labelledby="what-changed">
      <header className={styles.head}>
        <h3 id="what-changed">What changed</h3>
        {baseline === null ? null : (
          <span className={styles.note}>
            since <PipelineLink id={baseline.id} />, the last good one
            {baseline.started === null ? null : `, ${moment(baseline.started)}`}
          </span>
        )}
        {earlier.length < 2 ? null : <Strip found={found} />}
        {baseline === null || firstBad === null ? null : (
          <span className={styles.note}>
            bad since {firstBad === session.id ? "this one" : <PipelineLink id={firstBad} />}
          </span>
        )}
      </header>
      {baseline === null ? (
        <EmptyState
          title="No good pipeline to compare with"
          text={`${
            earlier.length < 2
              ? "This is the first pipeline of its program."
              : "No earlier pipeline of its program has passed."
          } Once one has passed, the changes since then appear here: commits, parameters, images, commands and secrets.`}
          action={
            record === undefined || earlier.length < 2 ? undefined : (
              <a
                className="button button-plain"
                href={programUrl(programQuery(record))}
                onClick={followLink}
              >
                Compare with another
              </a>
            )
          }
          docs="concepts/diagnosis"
          inline
        />
      ) : (
        <Changes found={found} />
      )}
      {baseline === null ? null : (
        <footer className={styles.foot}>
          <span className={styles.note}>
            {found.unchanged.length === 0 ? "" : `Unchanged: ${found.unchanged.join(", ")}.`}
          </span>
          {record === undefined || comparison === null ? null : (
            <span className={styles.links}>
              <a href={comparison} aria-keyshortcuts="c" onClick={followLink}>
                Compare all
              </a>
              <a href={programUrl(programQuery(record))} onClick={followLink}>
                Program
              </a>
            </span>
          )}
        </footer>
      )}
    </section>
  );
}

function PipelineLink({ id }: { id: string }) {
  return (
    <a href={pipelineUrl(id)} onClick={followLink}>
      {id.split("/").at(-1)}
    </a>
  );
}

/** The earlier pipelines and this one as squares; failed ones are taller. */
function Strip({ found: { earlier, pipeline } }: { found: Diagnosis }) {
  return (
    <span className={styles.strip} role="img" aria-label={stripText(earlier)}>
      {earlier.map(({ id, state }) => (
        <span
          key={id}
          className={`${styles.run} fill-${state} ${state === "done" ? "" : styles.bad} ${
            id.endsWith(pipeline) ? styles.here : ""
          }`}
        />
      ))}
    </span>
  );
}

function stripText(earlier: Diagnosis["earlier"]): string {
  const passed = earlier.filter(({ state }) => state === "done").length;
  return `${passed} of the last ${earlier.length} pipelines passed`;
}

function Changes({ found }: { found: Diagnosis }) {
  const [all, setAll] = useState(false);
  const { changes, commits } = found;
  const shown = changes.slice(0, all ? changes.length : SHOWN);
  return (
    <>
      {shown.map((change) => (
        <Change
          key={`${change.kind} ${change.name} ${change.names[0] ?? ""}`}
          {...{ found, change }}
        />
      ))}
      {commits.length === 0 ? null : <Commits found={found} all={all} />}
      {changes.length + commits.length === 0 ? (
        <p className={styles.none}>
          {found.unchanged.includes("secrets") || found.unchanged.length === 0
            ? "No input of the failed commands differs."
            : "Neither commands nor variables, parameters or images differ; the files in the images cannot be compared."}
        </p>
      ) : null}
      {all || (changes.length <= SHOWN && commits.length <= COMMITS) ? null : (
        <p className={styles.more}>
          <Button variant="quiet" onClick={() => setAll(true)}>
            Show all
          </Button>
        </p>
      )}
    </>
  );
}

function Change({ found, change }: { found: Diagnosis; change: PipelineChange }) {
  const { kind, name, names, before, after, suspect } = change;
  const count = failuresOf(found, change);
  return (
    <div className={`${styles.row} ${suspect ? styles.suspect : ""}`}>
      <Icon name={ICONS[kind] ?? "compare"} />
      <strong className={styles.kind}>{kindLabel(kind)}</strong>
      <span className={styles.value}>
        {names.length === 0 || kind === "commit" ? <code>{visible(name)}</code> : null}
        {names.length === 0 ? null : <code>{visible(namesText(change))}</code>}
        {before === null && after === null ? null : (
          <>
            <code className={styles.before}>{visible(before ?? "none")}</code>
            {" → "}
            <code className={styles.after}>{visible(after ?? "none")}</code>
          </>
        )}
      </span>
      {suspect ? (
        <span className={styles.mark}>{suspectText(count, sinceOf(found, change))}</span>
      ) : null}
    </div>
  );
}

/** `suspect for 46, new in q9d-wru`. */
function suspectText(count: number, since: string | null): string {
  const place = since === null ? "new here" : `new in ${since.split("/").at(-1) ?? since}`;
  return `suspect${count > 0 ? ` for ${plural(count, "failure")}` : ""}, ${place}`;
}

function namesText({ names }: PipelineChange): string {
  const rest = names.length - NAMES;
  return names.slice(0, NAMES).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

function Commits({
  found: { commits, more_commits: more },
  all,
}: {
  found: Diagnosis;
  all: boolean;
}) {
  return (
    <div className={styles.row}>
      <Icon name="branch" />
      <strong className={styles.kind}>Commits</strong>
      <ul className={styles.commits}>
        {commits.slice(0, all ? commits.length : COMMITS).map(({ sha, subject, author }) => (
          <li key={sha}>
            <code>{sha.slice(0, 8)}</code> {visible(subject)}{" "}
            <span className={styles.note}>{visible(author)}</span>
          </li>
        ))}
        {all || commits.length <= COMMITS ? null : (
          <li className={styles.note}>
            {commits.length - COMMITS}
            {more ? " or more" : " more"}
          </li>
        )}
      </ul>
    </div>
  );
}
