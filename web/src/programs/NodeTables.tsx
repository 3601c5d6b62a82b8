import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";

import type { FlakyNode, NodeHistory, SlowNode } from "@/api/schema";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import { shortPath } from "@/run/model/shortPath";
import styles from "@/programs/NodeTables.module.css";
import page from "@/programs/ProgramPage.module.css";

export function lastOf(count: number): string {
  return count === 1 ? "last pipeline" : `last ${plural(count, "pipeline")}`;
}

const OUTCOMES = {
  p: "passed",
  r: "passed after a retry",
  f: "failed",
  "-": "did not run",
} as Record<string, string>;

const MAX_PATH = 44;

interface Props {
  history: UseQueryResult<NodeHistory>;
  /** Id of the newest pipeline, to which nodes without another one link. */
  newest: string;
}

/** Nodes with different outcomes of the same command, with their outcomes over time. */
export function FlakyNodes({ history, newest }: Props) {
  return (
    <NodeSection
      id="flaky"
      title="Flaky nodes"
      note="different outcomes of the same command"
      history={history}
    >
      {(data) =>
        data.flaky.length === 0 ? (
          <p className="muted">
            No node had different outcomes in the {lastOf(data.pipelines.length)}.
          </p>
        ) : (
          <table className={`list ${styles.table}`}>
            <thead>
              <tr>
                <th>Node</th>
                <th className="list-number">Flaky</th>
                <th className={styles.wide}>Pipelines</th>
                <th className="list-number">Time lost</th>
              </tr>
            </thead>
            <tbody>
              {data.flaky.map((node) => (
                <FlakyRow key={node.path} node={node} pipelines={data.pipelines} newest={newest} />
              ))}
              {data.flaky_count > data.flaky.length ? (
                <tr>
                  <td colSpan={4} className="muted">
                    {`${(data.flaky_count - data.flaky.length).toLocaleString("en")} more`}
                  </td>
                </tr>
              ) : null}
            </tbody>
          </table>
        )
      }
    </NodeSection>
  );
}

interface FlakyRowProps {
  node: FlakyNode;
  pipelines: readonly string[];
  newest: string;
}

function FlakyRow({ node, pipelines, newest }: FlakyRowProps) {
  const { path, outcomes, flaked, runs, lost_seconds: lost } = node;
  const place = Math.max(outcomes.lastIndexOf("f"), outcomes.lastIndexOf("r"));
  return (
    <tr>
      <th scope="row">
        <NodeLink id={pipelines[place] ?? newest} path={path} />
      </th>
      <td className="list-number">{`${flaked} of ${runs}`}</td>
      <td className={styles.wide}>
        <span className={styles.cells} aria-hidden>
          {Array.from(outcomes).map((letter, index) => (
            <a
              key={index}
              tabIndex={-1}
              href={pipelineUrl(pipelines[index] ?? newest, path)}
              onClick={followLink}
              className={styles[`outcome-${letter === "-" ? "none" : letter}`]}
              title={`${pipelines[index] ?? ""}: ${OUTCOMES[letter] ?? ""}`}
            />
          ))}
        </span>
      </td>
      <td className="list-number">{lost === 0 ? "" : duration(lost)}</td>
    </tr>
  );
}

/** The nodes that take most of the time. */
export function SlowestNodes({ history, newest }: Props) {
  return (
    <NodeSection id="slowest" title="Slowest nodes" history={history}>
      {(data) =>
        data.slowest.length === 0 ? (
          <p className="muted">No command has passed yet.</p>
        ) : (
          <table className={`list ${styles.table}`}>
            <thead>
              <tr>
                <th>Node</th>
                <th className="list-number">Median</th>
                <th className={styles.wide}>Share</th>
                <th className="list-number">Newest</th>
              </tr>
            </thead>
            <tbody>
              {data.slowest.map((node) => (
                <SlowRow key={node.path} node={node} newest={newest} />
              ))}
            </tbody>
          </table>
        )
      }
    </NodeSection>
  );
}

function SlowRow({ node, newest }: { node: SlowNode; newest: string }) {
  const percent = `${(node.share * 100).toFixed(node.share < 0.1 ? 1 : 0)}%`;
  return (
    <tr>
      <th scope="row">
        <NodeLink id={newest} path={node.path} />
      </th>
      <td className="list-number">{duration(node.median_seconds)}</td>
      <td className={styles.wide}>
        <span className={styles.share}>
          <span className={styles.track} aria-hidden>
            <span style={{ width: `${node.share * 100}%` }} />
          </span>
          <span className="number">{percent}</span>
        </span>
      </td>
      <td className="list-number">{duration(node.newest_seconds)}</td>
    </tr>
  );
}

function NodeLink({ id, path }: { id: string; path: string }) {
  return (
    <a
      className={`mono clip ${styles.node}`}
      href={pipelineUrl(id, path)}
      onClick={followLink}
      title={visible(path)}
    >
      {visible(shortPath(path, MAX_PATH))}
    </a>
  );
}

/** Nodes whose image takes most of their time. */
export function ImageAdvice({ history, newest }: Props) {
  return (
    <NodeSection
      id="images"
      title="Slow images"
      note="from the waits of commands"
      history={history}
    >
      {(data) =>
        data.images.length === 0 ? (
          <p className="muted">
            No command waits longer for its image than it runs. Advice needs five pipelines in which
            it passed.
          </p>
        ) : (
          <table className={`list ${styles.table}`}>
            <thead>
              <tr>
                <th>Node</th>
                <th className={styles.wide}>Waits for</th>
                <th className="list-number">Wait</th>
                <th className="list-number">Of</th>
              </tr>
            </thead>
            <tbody>
              {data.images.map((node) => (
                <tr key={node.path}>
                  <th scope="row">
                    <NodeLink id={newest} path={node.path} />
                  </th>
                  <td className={styles.wide}>
                    {node.kind === "image"
                      ? "download or build of its image"
                      : "start of its container with its image"}
                  </td>
                  <td className="list-number">{duration(node.wait_seconds)}</td>
                  <td className="list-number">{duration(node.seconds)}</td>
                </tr>
              ))}
              {data.images_count > data.images.length ? (
                <tr>
                  <td colSpan={4} className="muted">
                    {`${(data.images_count - data.images.length).toLocaleString("en")} more`}
                  </td>
                </tr>
              ) : null}
            </tbody>
          </table>
        )
      }
    </NodeSection>
  );
}

/** Nodes that ask for more memory than they use. */
export function SizeAdvice({ history, newest }: Props) {
  return (
    <NodeSection
      id="sizes"
      title="Too much memory"
      note="from the memory that commands used"
      history={history}
    >
      {(data) =>
        data.sizes.length === 0 ? (
          <p className="muted">
            No command asks for more than it needs. Advice needs five pipelines in which it passed.
          </p>
        ) : (
          <table className={`list ${styles.table}`}>
            <thead>
              <tr>
                <th>Node</th>
                <th className="list-number">Asks for</th>
                <th className="list-number">Used at most</th>
                <th className="list-number">Enough</th>
                <th className="list-number">Saves a month</th>
              </tr>
            </thead>
            <tbody>
              {data.sizes.map((node) => (
                <tr key={node.path}>
                  <th scope="row">
                    <NodeLink id={newest} path={node.path} />
                  </th>
                  <td className="list-number">{`${node.mem} GB`}</td>
                  <td className="list-number">{`${node.peak.toFixed(1)} GB`}</td>
                  <td className="list-number">{`${node.enough} GB`}</td>
                  <td className="list-number">
                    {node.dollars_month < 0.005 ? "" : `$${node.dollars_month.toFixed(2)}`}
                  </td>
                </tr>
              ))}
              {data.sizes_count > data.sizes.length ? (
                <tr>
                  <td colSpan={5} className="muted">
                    {`${(data.sizes_count - data.sizes.length).toLocaleString("en")} more`}
                  </td>
                </tr>
              ) : null}
            </tbody>
          </table>
        )
      }
    </NodeSection>
  );
}

interface SectionProps {
  id: string;
  title: string;
  note?: string;
  history: UseQueryResult<NodeHistory>;
  children: (history: NodeHistory) => ReactNode;
}

function NodeSection({ id, title, note, history, children }: SectionProps) {
  const { data } = history;
  const count = data === undefined ? "" : lastOf(data.pipelines.length);
  return (
    <section aria-labelledby={id}>
      <div className={page.head}>
        <h2 id={id}>{title}</h2>
        <span className={page.note}>{[note ?? "", count].filter(Boolean).join(", ")}</span>
      </div>
      {data === undefined ? (
        <QueryPlaceholder query={history} rows={4} />
      ) : (
        <>
          {children(data)}
          {data.complete ? null : (
            <p className="muted">Older pipelines are too large to be read at once.</p>
          )}
        </>
      )}
    </section>
  );
}
