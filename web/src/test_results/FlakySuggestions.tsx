import { CopyButton } from "@/components/CopyButton";
import { visible } from "@/lib/visible";
import { quarantineCommand } from "@/test_results/model/tests";
import styles from "@/test_results/TestsPage.module.css";

/** Flaky tests without a quarantine, with the commands that quarantine them. */
export function FlakySuggestions({ id, names }: { id: string; names: readonly string[] }) {
  if (names.length === 0) return null;
  return (
    <details className={styles.suggestions}>
      <summary>{`${names.length} flaky without a quarantine`}</summary>
      <p className="muted">A flaky test stops no pipeline while it is quarantined.</p>
      <ul>
        {names.map((name) => (
          <li key={name}>
            <code>{visible(quarantineCommand(id, name))}</code>
            <CopyButton text={quarantineCommand(id, name)} label={`Copy the command for ${name}`} />
          </li>
        ))}
      </ul>
    </details>
  );
}
