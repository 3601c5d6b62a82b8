import { useState } from "react";

import type { Diagnosis, FailureCause } from "@/api/schema";
import { Button } from "@/components/Button";
import { useKeys } from "@/components/useKeys";
import segmentStyles from "@/components/Segments.module.css";
import {
  causeOf,
  countOf,
  isIn,
  type Segment,
  SEGMENT_LABELS,
  SEGMENTS,
} from "@/diagnosis/model/diagnosis";
import { followLink, pipelineUrl } from "@/lib/location";
import { visible } from "@/lib/visible";
import { type FailureGroup, relevantLines } from "@/run/model/failures";
import { nameOf, parentOf, ROOT } from "@/run/model/paths";
import { shortPath } from "@/run/model/shortPath";
import type { Actions } from "@/run/actions/useActions";
import styles from "@/run/overview/Reasons.module.css";
import shared from "@/run/overview/Overview.module.css";

/** Number of nodes and groups that a reason names. */
const MAX_SEEN = 3;
const MAX_OPEN_SEEN = 60;
const MAX_GROUPS = 4;
const MAX_PATH = 44;
/** Number of reasons that are shown at first, so that the changes are in view, too. */
const FIRST_REASONS = 3;

interface Props {
  id: string;
  groups: readonly FailureGroup[];
  /** The diagnosis, once it is loaded. */
  found: Diagnosis | undefined;
  actions: Actions;
}

/** Why commands failed, most common reason first. */
export function Reasons({ id, groups, found, actions }: Props) {
  const [segment, setSegment] = useState<Segment>("all");
  const causes = groups.map(({ nodes }) =>
    causeOf(
      found,
      nodes.map(({ path }) => path),
    ),
  );
  const [all, setAll] = useState(false);
  const chosen = groups.flatMap((group, place) =>
    isIn(segment, causes[place]) ? [{ group, place }] : [],
  );
  const hidden = all ? 0 : Math.max(0, chosen.length - FIRST_REASONS);
  const fixed = found?.fixed ?? 0;
  const hasHistory = found !== undefined && found.earlier.length >= 2;
  const offered = hasHistory
    ? SEGMENTS.filter((each) => each === "all" || countOf(found, each) > 0)
    : [];
  useKeys(Object.fromEntries(offered.map((each, place) => [place + 1, () => setSegment(each)])));
  return (
    <div className={styles.reasons}>
      {found === undefined || offered.length === 0 ? null : (
        <div role="group" aria-label="Show" className={segmentStyles.segments}>
          {offered.map((each, place) => (
            <Button
              key={each}
              aria-pressed={segment === each}
              aria-keyshortcuts={String(place + 1)}
              onClick={() => setSegment(each)}
            >
              {`${SEGMENT_LABELS[each]} ${countOf(found, each).toLocaleString("en")}`}
            </Button>
          ))}
        </div>
      )}
      {offered.length === 0 || fixed === 0 ? null : (
        <span
          className={styles.fixed}
        >{`${fixed.toLocaleString("en")} fixed since the previous one`}</span>
      )}
      <div className={shared.card}>
        <div role="list" aria-label="Reasons">
          {chosen.slice(0, chosen.length - hidden).map(({ group, place }) => (
            <Reason
              key={`${group.reason} ${group.nodes[0]?.path ?? ""}`}
              id={id}
              group={group}
              cause={offered.length === 0 ? undefined : causes[place]}
              isFirst={place === 0}
              isOnly={groups.length === 1}
              actions={actions}
            />
          ))}
        </div>
        {hidden === 0 ? null : (
          <p className={styles.more}>
            <Button variant="quiet" onClick={() => setAll(true)}>
              {`${hidden.toLocaleString("en")} more ${hidden === 1 ? "reason" : "reasons"}`}
            </Button>
          </p>
        )}
      </div>
    </div>
  );
}

interface ReasonProps {
  id: string;
  group: FailureGroup;
  cause: FailureCause | undefined;
  isFirst: boolean;
  isOnly: boolean;
  actions: Actions;
}

function Reason({ id, group, cause, isFirst, isOnly, actions }: ReasonProps) {
  const [open, setOpen] = useState(isFirst);
  const { nodes, reason } = group;
  const paths = nodes.map(({ path }) => path);
  return (
    <div className={styles.reason} role="listitem">
      <div className={styles.head}>
        <button
          type="button"
          className={styles.toggle}
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          <svg viewBox="0 0 10 10" aria-hidden>
            <path d="M3 1.5L7 5 3 8.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
          </svg>
          <span className={`${styles.count} number`}>{nodes.length.toLocaleString("en")}</span>
          <span className={styles.text}>
            <span className={styles.message}>{visible(reason)}</span>
            <span className={styles.where}>
              {cause === undefined ? null : <History cause={cause} />}
              {visible(placesOf(paths))}
            </span>
          </span>
        </button>
        {isOnly ? null : (
          <Button
            disabled={actions.busy}
            aria-label={`Rerun ${nodes.length}: ${reason}`}
            onClick={() => void actions.nodes("rerun", paths)}
          >
            {`Rerun ${nodes.length.toLocaleString("en")}`}
          </Button>
        )}
      </div>
      {open ? <Details id={id} group={group} /> : null}
    </div>
  );
}

/** Since when it fails. */
function History({ cause: { since, flaky } }: { cause: FailureCause }) {
  return (
    <>
      {since === null ? (
        <span className={styles.new}>new</span>
      ) : (
        <span>since {since.split("/").at(-1)} · </span>
      )}
      {flaky ? <span>flaky · </span> : null}
    </>
  );
}

function Details({ id, group: { nodes } }: { id: string; group: FailureGroup }) {
  const [all, setAll] = useState(false);
  const shown = nodes.slice(0, all ? MAX_OPEN_SEEN : MAX_SEEN);
  const [first] = nodes;
  const { lines, error } = first === undefined ? { lines: [], error: -1 } : relevantLines(first);
  return (
    <div className={styles.body}>
      {first === undefined || lines.length === 0 ? null : (
        <pre
          className={styles.lines}
          role="region"
          aria-label={`Output of ${first.path}`}
          tabIndex={0}
        >
          {lines.map((line, at) => (
            <code key={at} className={`${styles.out} ${at === error ? styles.error : ""}`}>
              {visible(line.replaceAll("\t", "    ")) || " "}
            </code>
          ))}
        </pre>
      )}
      <p className={styles.seen}>
        Seen in
        {shown.map(({ path, file, line }) => (
          <a
            key={path}
            href={pipelineUrl(id, path)}
            onClick={followLink}
            title={file === null ? visible(path) : `${visible(path)} ${file}:${line ?? ""}`}
          >
            {visible(shortPath(path, MAX_PATH))}
          </a>
        ))}
        {all || nodes.length <= MAX_SEEN ? null : (
          <Button variant="quiet" onClick={() => setAll(true)}>
            {`${(nodes.length - MAX_SEEN).toLocaleString("en")} more`}
          </Button>
        )}
      </p>
    </div>
  );
}

/** `checkout 17, payments 14`: the groups in which nodes failed; the path of a single node. */
function placesOf(paths: readonly string[]): string {
  const [first = ROOT] = paths;
  if (paths.length === 1) return shortPath(first, 2 * MAX_PATH);
  const counts = new Map<string, number>();
  for (const path of paths) {
    const parent = parentOf(path) ?? ROOT;
    counts.set(parent, (counts.get(parent) ?? 0) + 1);
  }
  const places = [...counts].toSorted(([, a], [, b]) => b - a);
  const shown = places
    .slice(0, MAX_GROUPS)
    .map(([path, count]) => `${path === ROOT ? "top level" : nameOf(path)} ${count}`);
  const rest = places.length - MAX_GROUPS;
  return [...shown, ...(rest > 0 ? [`${rest.toLocaleString("en")} more`] : [])].join(", ");
}
