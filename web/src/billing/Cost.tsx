import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { PipelineCost } from "@/api/schema";
import { CostBar, CostList } from "@/billing/CostBar";
import { Pending } from "@/components/InOrder";
import { followLink, pipelineUrl } from "@/lib/location";
import { dollars } from "@/lib/money";
import { bytes, duration, plural } from "@/lib/time";
import { useThrottled } from "@/lib/useThrottled";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { partsOf, totalOf } from "@/billing/model/costs";
import { shortPath } from "@/run/model/shortPath";
import styles from "@/billing/Cost.module.css";
import shared from "@/run/overview/Overview.module.css";

const MAX_NODES = 5;
const MAX_PATH = 40;
/** Minimum interval between requests while the pipeline runs, in ms. */
const REFRESH_MS = 30_000;

/** The cost of a cloud pipeline: its parts, and the most expensive nodes. */
export function Cost({ session }: { session: PipelineSession }) {
  const { summary } = session.model ?? {};
  const seq = useThrottled(summary?.seq ?? 0, REFRESH_MS);
  const found = useQuery({
    queryKey: ["cost", session.id, seq, summary?.settled],
    queryFn: ({ signal }) => api.cost(session.id, MAX_NODES, signal),
    placeholderData: (before) => before,
  });
  if (found.isLoading) return <Pending />;
  const cost = found.data;
  if (cost === undefined || cost.free) return null;
  const parts = partsOf(cost);
  return (
    <section className={shared.section} aria-label="Cost">
      <h3>
        Cost
        {summary?.settled === true ? null : (
          <span className={shared.note}>
            {cost.running === 0
              ? "so far"
              : `so far; ${plural(cost.running, "running command")} ${cost.running === 1 ? "counts" : "count"} at the end`}
          </span>
        )}
      </h3>
      <div className={`${shared.card} ${styles.card}`}>
        <div className={styles.whole}>
          <strong className={`${styles.total} number`}>{dollars(totalOf(cost))}</strong>
          <CostBar parts={parts} />
        </div>
        <CostList parts={parts} />
        {cost.price === null ? null : (
          <p>{`${dollars(cost.price)} on the bill of the organisation, for workers`}</p>
        )}
        <Nodes id={session.id} cost={cost} />
      </div>
      <p className={styles.prices}>
        Computed from Conducto's records at the prices of {cost.region} as of {cost.priced}. AWS's
        bill is authoritative. Not included: data of users, reading and writing of files, images and
        their builds, logs of functions, traffic, backups and tax.
      </p>
    </section>
  );
}

function Nodes({ id, cost }: { id: string; cost: PipelineCost }) {
  const max = cost.nodes[0]?.dollars ?? 0;
  if (max === 0) return null;
  return (
    <div className={styles.nodes}>
      <h4>Most expensive nodes</h4>
      {cost.nodes.map((node) => (
        <p
          key={node.path}
          className={styles.row}
          title={`${visible(node.path)}: ${duration(node.seconds)}`}
        >
          <a href={pipelineUrl(id, node.path)} onClick={followLink} className="clip">
            {visible(shortPath(node.path, MAX_PATH))}
          </a>
          <CostBar parts={[{ kind: "commands", dollars: node.dollars }]} max={max} />
          <span className={`${styles.amount} number`}>{dollars(node.dollars)}</span>
        </p>
      ))}
      {cost.more_nodes === 0 ? null : (
        <p className={`${styles.row} ${styles.more}`}>
          <span>{`${cost.more_nodes.toLocaleString("en")} more`}</span>
          <span />
          <span className={`${styles.amount} number`}>{dollars(cost.more_dollars)}</span>
        </p>
      )}
      {cost.object_bytes + cost.file_bytes === 0 ? null : (
        <p className={styles.more}>
          {`${bytes(cost.file_bytes)} of files, ${bytes(cost.object_bytes)} of output`}
        </p>
      )}
    </div>
  );
}
