import { useEffect, useRef } from "react";

import type { ProgramStart } from "@/api/schema";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { useNow } from "@/components/useNow";
import { dollars } from "@/lib/money";
import { duration, plural } from "@/lib/time";
import type { Change } from "@/programs/model/parameters";
import styles from "@/programs/launch/LaunchPage.module.css";
import type { Starting } from "@/programs/launch/useProgramStart";

interface Props {
  id: string;
  starting: Starting;
  changes: readonly Change[];
  /** The plan is for other values. */
  isOutdated: boolean;
  onPlan: () => void;
}

/** The plan, the script's progress, and the changed values, beside the fields. */
export function SidePanel({ id, starting, changes, isOutdated, onPlan }: Props) {
  const { current, isRunning, error } = starting;
  return (
    <div className={styles.side}>
      <section className={styles.card} aria-labelledby="plan">
        <div className={styles.line}>
          <h2 id="plan">Plan</h2>
          <Button disabled={isRunning} onClick={onPlan}>
            Show the plan
          </Button>
        </div>
        <PlanText start={current} isOutdated={isOutdated} />
      </section>
      {isRunning ? <Progress start={current} onCancel={starting.cancel} /> : null}
      <FormError error={error} />
      <Failure start={isRunning ? null : current} />
      <section className={styles.card} aria-labelledby="changes">
        <h2 id="changes">{`Changes since ${id}`}</h2>
        {changes.length === 0 ? <p className="muted">No value has changed.</p> : null}
        <ul className={styles.changes}>
          {changes.map(({ name, before, after }) => (
            <li key={name}>
              {name} <del>{before === "" ? "empty" : before}</del> →{" "}
              <ins>{after === "" ? "empty" : after}</ins>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

export function PlanText({
  start,
  isOutdated,
}: {
  start: ProgramStart | null;
  isOutdated: boolean;
}) {
  const plan = start?.plan ?? null;
  if (plan === null)
    return <p className="muted">Runs the script to count its commands. Nothing is launched.</p>;
  return (
    <div role="status" className={isOutdated ? styles.outdated : undefined}>
      <p>
        <strong className={styles.figure}>{plural(plan.commands, "command")}</strong>{" "}
        {plan.dollars === null
          ? null
          : `about ${dollars(plan.price ?? plan.dollars)} in the cloud; free on this machine`}
      </p>
      {plan.dollars === null || plan.price === null ? null : (
        <p className="muted">{`For workers; ${dollars(plan.dollars)} at AWS's prices.`}</p>
      )}
      {plan.note === null ? null : <p className="muted">{plan.note}</p>}
      {plan.known === 0 ? null : (
        <p className="muted">
          Times of {plan.known.toLocaleString("en")} of {plural(plan.commands, "command")} are known
          from earlier pipelines.
        </p>
      )}
      {isOutdated ? <p className="muted">The plan is for other values.</p> : null}
    </div>
  );
}

function Progress({ start, onCancel }: { start: ProgramStart | null; onCancel: () => void }) {
  const now = useNow(true);
  const shown = useShown();
  const took = start === null ? 0 : Math.max(0, now - start.started);
  return (
    <section ref={shown} className={styles.card} role="status">
      <div className={styles.line}>
        <p>{`Building the tree… ${duration(Math.floor(took))}`}</p>
        <Button disabled={start === null} onClick={onCancel}>
          Cancel
        </Button>
      </div>
      <Output text={start?.output ?? ""} />
    </section>
  );
}

function Failure({ start }: { start: ProgramStart | null }) {
  if (start === null || !["failed", "cancelled"].includes(start.state)) return null;
  return <FailureCard key={start.id} start={start} />;
}

function FailureCard({ start }: { start: ProgramStart }) {
  const shown = useShown();
  return (
    <section
      ref={shown}
      className={styles.card}
      role="alert"
      data-failed={start.state === "failed" || undefined}
    >
      <h2>
        {start.state === "failed" ? "The script failed" : "Cancelled. No pipeline was launched."}
      </h2>
      {start.state === "failed" ? <p className={styles.message}>{start.message}</p> : null}
      <Output text={start.output} />
    </section>
  );
}

function Output({ text }: { text: string }) {
  return text === "" ? null : (
    <pre className={styles.command} tabIndex={0} role="region" aria-label="Output of the script">
      {text}
    </pre>
  );
}

/** Scroll a new part of the page into view: on phones it is below the fields. */
function useShown() {
  const ref = useRef<HTMLElement>(null);
  useEffect(() => {
    ref.current?.scrollIntoView({ block: "nearest" });
  }, []);
  return ref;
}
