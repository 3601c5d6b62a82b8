import { useState } from "react";

import type { AskedApproval } from "@/api/schema";
import { Button } from "@/components/Button";
import { StateIcon } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { followLink, pipelineUrl } from "@/lib/location";
import { ago } from "@/lib/time";
import { visible } from "@/lib/visible";
import styles from "@/approvals/WaitingApprovals.module.css";

/** Entries that are shown at first: the list of pipelines should stay in view. */
const SHOWN = 3;

/** The nodes that wait for a decision of the user, the oldest first. */
export function WaitingApprovals({ approvals }: { approvals: readonly AskedApproval[] }) {
  const [all, setAll] = useState(false);
  const now = useNow(true);
  const shown = all ? approvals : approvals.slice(0, SHOWN);
  return (
    <section className={`card ${styles.box}`} aria-label="Waiting for your approval">
      <h2
        className={styles.title}
      >{`Waiting for your approval (${approvals.length.toLocaleString("en")})`}</h2>
      <ul className={styles.list}>
        {shown.map(({ pipeline, title, agent, approval }) => (
          <li key={`${pipeline}${approval.path}`} className={styles.entry}>
            <StateIcon state="approval" label />
            <a href={pipelineUrl(pipeline, approval.path)} onClick={followLink}>
              {visible(approval.message.replace(/\s+/g, " "))}
            </a>
            <span className="muted">
              {[
                visible(title),
                visible(approval.path),
                ...(agent === null ? [] : [visible(agent.host)]),
                ...approval.withdrawn.slice(-1).map((why) => `Asked again: ${visible(why)}`),
                ago(approval.since, now),
              ].join(" · ")}
            </span>
            <a
              className={`button button-approve ${styles.review}`}
              href={pipelineUrl(pipeline, approval.path)}
              onClick={followLink}
              aria-label={`Review ${visible(approval.path)}`}
            >
              Review
            </a>
          </li>
        ))}
      </ul>
      {shown.length < approvals.length ? (
        <Button variant="plain" onClick={() => setAll(true)}>
          {`Show all ${approvals.length.toLocaleString("en")}`}
        </Button>
      ) : null}
    </section>
  );
}
