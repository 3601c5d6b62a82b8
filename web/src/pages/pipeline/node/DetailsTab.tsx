import type { CallbackView, NodeDetail, Parameter } from "@/api/schema";
import { Command } from "@/components/Command";
import { CopyButton } from "@/components/CopyButton";
import { moment } from "@/lib/time";
import { Notifications } from "@/pages/pipeline/node/Notifications";

/** Command, parameters and environment of a node, with their sources. */
export function DetailsTab({ detail }: { detail: NodeDetail }) {
  const { node } = detail;
  return (
    <div className="details">
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
        <table className="facts">
          <thead>
            <tr>
              <th>Name</th>
              <th>Value</th>
              <th>From</th>
            </tr>
          </thead>
          <tbody>
            {detail.parameters.map((one) => (
              <tr key={one.name}>
                <th scope="row">{one.name}</th>
                <td className="mono">{valueText(one.value)}</td>
                <td className="muted">{sourceText(one, node.path)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <section>
        <h2>Environment</h2>
        {detail.env.length === 0 ? (
          <p className="muted">Only variables that Conducto sets. Secrets are not shown.</p>
        ) : (
          <table className="facts">
            <tbody>
              {detail.env.map((one) => (
                <tr key={one.name}>
                  <th scope="row" className="mono">
                    {one.name}
                  </th>
                  <td className="mono">{one.value}</td>
                  <td className="muted">{one.source === node.path ? "this node" : one.source}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      {detail.callbacks.length === 0 ? null : <Callbacks detail={detail} />}
      <Notifications notifications={node.notifications} />
      <section>
        <h2>Origin</h2>
        <table className="facts">
          <tbody>
            {node.file === null ? null : (
              <tr>
                <th scope="row">Defined in</th>
                <td className="mono">
                  {node.file}
                  {node.line === null ? "" : `:${node.line}`}
                </td>
              </tr>
            )}
            {detail.lazy_target === null ? null : (
              <tr>
                <th scope="row">Generates</th>
                <td className="mono">{detail.lazy_target}</td>
              </tr>
            )}
            {detail.pool === null ? null : (
              <tr>
                <th scope="row">Container pool</th>
                <td className="mono">{detail.pool}</td>
              </tr>
            )}
            {detail.logs_until === null ? null : (
              <tr>
                <th scope="row">Logs kept until</th>
                <td>{moment(detail.logs_until)} or later</td>
              </tr>
            )}
          </tbody>
        </table>
      </section>
    </div>
  );
}

function Callbacks({ detail }: { detail: NodeDetail }) {
  return (
    <section>
      <h2>Callbacks</h2>
      <table className="facts">
        <tbody>
          {detail.callbacks.map((one, place) => (
            <tr key={place}>
              <th scope="row">on {one.event}</th>
              <td className="mono">{callText(one)}</td>
              <td className="muted">
                {one.source === detail.node.path ? "this node" : one.source}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
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

function sourceText(parameter: Parameter, path: string): string {
  const source = parameter.source ?? "default";
  const where = source === path ? "this node" : source;
  return parameter.modified ? `${where}, modified` : where;
}
