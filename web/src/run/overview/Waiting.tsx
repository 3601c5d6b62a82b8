import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { Counts } from "@/api/schema";
import { Pending } from "@/components/InOrder";
import { StateIcon } from "@/components/StateIcon";
import { useFirst } from "@/components/useFirst";
import { StaleBadge } from "@/components/StaleBadge";
import { followLink, pipelineUrl } from "@/lib/location";
import { plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { pendingGroups, queuedGroups } from "@/run/model/waitingGroups";
import shared from "@/run/overview/Overview.module.css";
import styles from "@/run/overview/Waiting.module.css";

const REFRESH_MS = 3000;
/** Number of queued commands whose wait reasons are requested; the others are similar. */
const MAX_NODES = 50;
const MAX_ROWS = 6;

interface Props {
  session: PipelineSession;
  path: string;
  counts: Counts;
}

/** The commands that wait, and why. */
export function Waiting({ session, path, counts }: Props) {
  const { id, model } = session;
  const queued = useQuery({
    queryKey: ["queued", id, path],
    queryFn: ({ signal }) =>
      api.tree(id, { root: path, state: "queued", limit: MAX_NODES, attempts: "none" }, signal),
    enabled: counts.queued > 0,
    refetchInterval: REFRESH_MS,
  });
  const first = useFirst(queued.isLoading);
  const waits = counts.queued > 0 ? queuedGroups(queued.data?.nodes ?? [], counts.queued) : [];
  const later = model === null ? [] : pendingGroups(model.within(path), MAX_ROWS);
  const rows = [...waits, ...later].slice(0, MAX_ROWS);
  if (first) return <Pending />;
  if (rows.length === 0) return null;
  return (
    <section className={shared.section}>
      <h3>
        Waiting
        <span className={shared.note}>{plural(counts.queued + counts.pending, "command")}</span>
        {counts.queued > 0 ? <StaleBadge query={queued} every={REFRESH_MS} /> : null}
      </h3>
      <div className={shared.card}>
        {rows.map((row) => (
          <p key={`${row.state} ${row.path} ${row.detail}`} className={styles.row}>
            <StateIcon state={row.state} label />
            <span className={`${styles.count} number`}>{row.count.toLocaleString("en")}</span>
            <span className={styles.text}>
              <a href={pipelineUrl(id, row.path)} onClick={followLink}>
                {visible(row.text)}
              </a>
              {row.detail === "" ? null : (
                <span className={styles.detail}>{visible(row.detail)}</span>
              )}
            </span>
            {row.state === "approval" ? (
              <a
                className="button button-approve"
                href={pipelineUrl(id, row.path)}
                onClick={followLink}
              >
                Review
              </a>
            ) : null}
          </p>
        ))}
      </div>
    </section>
  );
}
