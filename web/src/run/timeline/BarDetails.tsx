import { Button } from "@/components/Button";
import { StateLabel } from "@/components/StateIcon";
import { followLink, pipelineUrl, setQuery } from "@/lib/location";
import { duration, moment } from "@/lib/time";
import { visible } from "@/lib/visible";
import { type Bar, endOf, isFromCache } from "@/run/timeline/model/lanes";
import { parentOf, ROOT } from "@/run/model/paths";
import { waitText } from "@/run/timeline/model/phases";
import styles from "@/run/timeline/BarDetails.module.css";

interface Props {
  id: string;
  /** The bar under the pointer, or the selected one. */
  bar: Bar | null;
  critical: boolean;
  /** Rows stand for groups. */
  grouped: boolean;
  now: number;
}

/** Details of an attempt. */
export function BarDetails({ id, bar, critical, grouped, now }: Props) {
  if (bar === null) {
    return (
      <div className={`${styles.facts} muted`}>
        {grouped ? "Select a row to open its group" : "Select a bar for details"}. Drag to zoom in.
      </div>
    );
  }
  const address = `${pipelineUrl(id, bar.path)}&${new URLSearchParams({ attempt: String(bar.number) }).toString()}`;
  const parent = parentOf(bar.path) ?? ROOT;
  return (
    <div className={styles.facts} role="status">
      <a href={address} onClick={followLink} className={`mono ${styles.path}`}>
        {visible(bar.path)}
      </a>
      <StateLabel state={bar.state} />
      <span className="number">{details(bar, now).join(" · ")}</span>
      {critical ? <span className="tag">critical path</span> : null}
      {parent === ROOT ? null : (
        <Button variant="quiet" onClick={() => setQuery({ root: parent })}>
          Show only its group
        </Button>
      )}
    </div>
  );
}

function details(bar: Bar, now: number): string[] {
  const { started } = bar;
  const end = endOf(bar, now);
  const facts = [`attempt ${bar.number}`];
  if (bar.state === "error" && bar.exitCode !== null) facts.push(`exit ${bar.exitCode}`);
  if (started !== null) facts.push(`started ${moment(started + (bar.shift ?? 0))}`);
  if (isFromCache(bar)) facts.push("from the cache: it did not run");
  const waited = waitText(bar, now);
  if (waited !== null) facts.push(waited);
  if (started !== null) {
    facts.push(`${bar.ended === null ? "runs for" : "ran"} ${duration(end - started)}`);
  }
  if (bar.container !== null) facts.push(`in ${bar.container}`);
  return facts;
}
