import { useEffect, useRef } from "react";

import type { ProgramStart } from "@/api/schema";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { useNow } from "@/components/useNow";
import { duration } from "@/lib/time";
import type { Change } from "@/programs/model/parameters";
import styles from "@/programs/launch/LaunchPage.module.css";
import type { Starting } from "@/programs/launch/useProgramStart";
import { LAUNCH } from "@/programs/texts/launch";

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
          <h2 id="plan">{LAUNCH.plan}</h2>
          <Button disabled={isRunning} onClick={onPlan}>
            {LAUNCH.planAction}
          </Button>
        </div>
        <PlanText start={current} isOutdated={isOutdated} />
      </section>
      {isRunning ? <Progress start={current} onCancel={starting.cancel} /> : null}
      <FormError error={error} />
      <Failure start={isRunning ? null : current} />
      <section className={styles.card} aria-labelledby="changes">
        <h2 id="changes">{LAUNCH.changes(id)}</h2>
        {changes.length === 0 ? <p className="muted">{LAUNCH.noChanges}</p> : null}
        <ul className={styles.changes}>
          {changes.map(({ name, before, after }) => (
            <li key={name}>
              {name} <del>{before === "" ? LAUNCH.empty : before}</del> →{" "}
              <ins>{after === "" ? LAUNCH.empty : after}</ins>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

function PlanText({ start, isOutdated }: { start: ProgramStart | null; isOutdated: boolean }) {
  const plan = start?.plan ?? null;
  if (plan === null) return <p className="muted">{LAUNCH.planHint}</p>;
  return (
    <div role="status" className={isOutdated ? styles.outdated : undefined}>
      <p>
        <strong className={styles.figure}>{LAUNCH.commands(plan.commands)}</strong>{" "}
        {plan.dollars === null ? null : LAUNCH.inCloud(price(plan.dollars))}
      </p>
      {plan.note === null ? null : <p className="muted">{plan.note}</p>}
      {plan.known === 0 ? null : <p className="muted">{LAUNCH.known(plan.known, plan.commands)}</p>}
      {isOutdated ? <p className="muted">{LAUNCH.outdated}</p> : null}
    </div>
  );
}

function price(dollars: number): string {
  return dollars < 0.01 ? `$${dollars.toPrecision(2)}` : `$${dollars.toFixed(2)}`;
}

function Progress({ start, onCancel }: { start: ProgramStart | null; onCancel: () => void }) {
  const now = useNow(true);
  const shown = useShown();
  const took = start === null ? 0 : Math.max(0, now - start.started);
  return (
    <section ref={shown} className={styles.card} role="status">
      <div className={styles.line}>
        <p>{LAUNCH.building(duration(Math.floor(took)))}</p>
        <Button disabled={start === null} onClick={onCancel}>
          {LAUNCH.cancel}
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
      <h2>{start.state === "failed" ? LAUNCH.failed : LAUNCH.cancelled}</h2>
      {start.state === "failed" ? <p className={styles.message}>{start.message}</p> : null}
      <Output text={start.output} />
    </section>
  );
}

function Output({ text }: { text: string }) {
  return text === "" ? null : (
    <pre className={styles.command} tabIndex={0} role="region" aria-label={LAUNCH.output}>
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
