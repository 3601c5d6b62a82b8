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
