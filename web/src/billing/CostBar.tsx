import styles from "@/billing/CostBar.module.css";
import { dollars } from "@/lib/money";
import type { CostPart } from "@/billing/model/costs";

const KIND_HELP = {
  commands: "Workers while commands ran",
  workers: "Workers from the pull of their image to their stop",
  idle: "Workers while they started, waited or were lost",
  requests: "Calls of the API and the table, estimated",
  transitions: "Steps of Step Functions, estimated",
  storage: "Files, output and records, measured once a day",
};

const KINDS = {
  commands: "Commands",
  workers: "Workers",
  idle: "Idle workers",
  requests: "Requests",
  transitions: "State transitions",
  storage: "Storage",
};

/** The parts of a cost on one bar; a list beside it names them. */
export function CostBar({ parts, max }: { parts: readonly CostPart[]; max?: number }) {
  const sum = parts.reduce((before, part) => before + part.dollars, 0);
  const whole = Math.max(max ?? sum, Number.MIN_VALUE);
  return (
    <span className={styles.bar} aria-hidden>
      {parts
        .filter((part) => part.dollars > 0)
        .map(({ kind, dollars: amount }) => (
          <span
            key={kind}
            className={`${styles.part} ${styles[kind] ?? ""}`}
            style={{ width: `${(amount / whole) * 100}%` }}
          />
        ))}
    </span>
  );
}

/** The parts of a cost with their amounts and marks of the bar. */
export function CostList({ parts }: { parts: readonly CostPart[] }) {
  return (
    <dl className={styles.list}>
      {parts.map(({ kind, dollars: amount }) => (
        <div key={kind} className={styles.entry} title={KIND_HELP[kind]}>
          <dt>
            <span className={`${styles.mark} ${styles[kind] ?? ""}`} aria-hidden />
            {KINDS[kind]}
          </dt>
          <dd className="number">{dollars(amount)}</dd>
        </div>
      ))}
    </dl>
  );
}
