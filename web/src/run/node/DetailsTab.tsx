import type { CallbackView, NodeDetail } from "@/api/schema";
import { Command } from "@/components/Command";
import { CopyButton } from "@/components/CopyButton";
import { FactsTable } from "@/components/Facts";
import { moment } from "@/lib/time";
import styles from "@/run/node/DetailsTab.module.css";
import { Notifications } from "@/notifications/Notifications";

/** Command, parameters and environment of a node, with their sources. */
export function DetailsTab({ detail }: { detail: NodeDetail }) {
  const { node } = detail;
  const from = (source: string | null) => (source === node.path ? "this node" : source);
  return (
    <div className={styles.details}>
      {node.command === null ? null : (
        <section>
          <h2>
            Command <CopyButton text={node.command} label="Copy command" />
          </h2>
          <Command text={node.command} />
        </section>
      )}
      <section>
        <h2>Parameters</h2>
        <FactsTable
          head={["Name", "Value", "From"]}
          rows={detail.parameters.map((one) => [
            one.name,
            valueText(one.value),
            `${from(one.source) ?? "default"}${one.modified ? ", modified" : ""}`,
          ])}
        />
      </section>
      <section>
        <h2>Environment</h2>
        {detail.env.length === 0 ? (
          <p className="muted">Only variables that Conducto sets. Secrets are not shown.</p>
        ) : (
          <FactsTable rows={detail.env.map((one) => [one.name, one.value, from(one.source)])} />
        )}
      </section>
      {detail.callbacks.length === 0 ? null : (
        <section>
          <h2>Callbacks</h2>
          <FactsTable
            rows={detail.callbacks.map((one) => [
              `on ${one.event}`,
              callText(one),
              from(one.source),
            ])}
          />
        </section>
      )}
      <Notifications notifications={node.notifications} />
      <section>
        <h2>Origin</h2>
        <FactsTable rows={origin(detail)} />
      </section>
    </div>
  );
}

function origin({ node, lazy_target, pool, logs_until }: NodeDetail): [string, string][] {
  const rows: [string, string][] = [];
  if (node.file !== null) {
    rows.push(["Defined in", node.line === null ? node.file : `${node.file}:${node.line}`]);
  }
  if (lazy_target !== null) rows.push(["Generates", lazy_target]);
  if (pool !== null) rows.push(["Container pool", pool]);
  if (logs_until !== null) rows.push(["Logs kept until", `${moment(logs_until)} or later`]);
  return rows;
}

/** As written in Python: `retry(max_num_retries=3)`. */
function callText({ name, arguments: given }: CallbackView): string {
  const parameters = Object.entries(given).map(([key, value]) => `${key}=${valueText(value)}`);
  return `${name}(${parameters.join(", ")})`;
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}
