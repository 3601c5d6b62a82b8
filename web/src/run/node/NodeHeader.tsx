import { Fragment, type ReactNode } from "react";

import type { NodeDetail, NodeView } from "@/api/schema";
import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { Menu, type MenuEntry } from "@/components/Menu";
import { useOfferedActions } from "@/components/offeredActions";
import { StatePill } from "@/components/StatePill";
import { toast } from "@/components/toasts";
import { TypeIcon } from "@/components/TypeIcon";
import { useNow } from "@/components/useNow";
import { copy } from "@/lib/clipboard";
import { followLink, pipelineUrl, setQuery } from "@/lib/location";
import { duration, moment } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { withoutCommand } from "@/run/model/advice";
import { nameOf, ROOT } from "@/run/model/paths";
import { shortAncestors } from "@/run/model/shortPath";
import { retryText } from "@/run/model/waiting";
import { timeOf, timesOf } from "@/run/model/node";
import { displayState, failureText, isFinished, stoppedText } from "@/run/model/states";
import type { Actions } from "@/run/actions/useActions";
import styles from "@/run/node/NodeHeader.module.css";
import { useDebugEntries } from "@/debug/useDebugEntries";

interface Props {
  session: PipelineSession;
  detail: NodeDetail;
  actions: Actions;
  onClose: () => void;
  /** The tabs of a group, which fit into the row. */
  tabs: ReactNode;
}

/** The header of a node in one row: path, state, time and actions. */
export function NodeHeader({ session, detail, actions, onClose, tabs }: Props) {
  const { node } = detail;
  const isRoot = node.path === ROOT && tabs !== null; // the page's header shows its title and state
  const Heading = node.path === ROOT ? "h2" : "h1";
  return (
    <header className={styles.head} data-root={isRoot || undefined}>
      <div className={styles.row}>
        <Button
          variant="quiet"
          className={styles.back ?? ""}
          onClick={onClose}
          aria-label="Back to the tree"
        >
          <Icon name="back" />
        </Button>
        {isRoot ? null : (
          <>
            <Breadcrumb id={session.id} path={node.path} />
            <span className={styles.type}>
              <TypeIcon type={node.type} />
              <span className="sr-only">{node.type}</span>
            </span>
            <Heading className={`${styles.name ?? ""} clip`} title={visible(node.path)}>
              {visible(nameOf(node.path))}
            </Heading>
            <NodeState session={session} detail={detail} />
          </>
        )}
        {tabs === null ? null : <div className={styles.tabs}>{tabs}</div>}
        <NodeActions session={session} detail={detail} actions={actions} isRoot={isRoot} />
      </div>
      {node.waits_for === null ||
      node.skip_reason !== null ||
      isFinished(node.state) ||
      isRoot ? null : (
        <WaitLine node={node} />
      )}
      {node.skip_reason === null ? null : (
        <p className={styles.waits}>{`Skipped: ${visible(node.skip_reason)}`}</p>
      )}
    </header>
  );
}

/** Why a node waits, since when, and how to end that. */
function WaitLine({ node }: { node: NodeView }) {
  const now = useNow(node.wait_kind === "retry");
  return <p className={styles.waits}>{waitText(node, now)}</p>;
}

function waitText(node: NodeView, now: number): string {
  const { waits_for: why, wait_since: since, wait_remedy: remedy, wait_until: until } = node;
  const retries = node.wait_kind === "retry" && until !== null;
  const parts = [retries ? retryText(until, now) : withoutCommand(why ?? "")];
  if (since !== null) parts.push(`since ${moment(since)}`);
  if (remedy !== null) parts.push(withoutCommand(remedy));
  return parts.join(" · ");
}

function Breadcrumb({ id, path }: { id: string; path: string }) {
  return (
    <nav className={styles.crumbs} aria-label="Path">
      {shortAncestors(path).map((above) => (
        <Fragment key={above ?? "…"}>
          {above === null ? (
            "…"
          ) : (
            <a href={pipelineUrl(id, above)} onClick={followLink} title={visible(above)}>
              {visible(nameOf(above))}
            </a>
          )}
          {" / "}
        </Fragment>
      ))}
    </nav>
  );
}

function NodeState({ session, detail }: { session: PipelineSession; detail: NodeDetail }) {
  const { node } = detail;
  const live = session.model?.nodes.get(node.path);
  const status = live !== undefined && live.seq >= 0 ? live : node;
  const running = status.state === "running";
  const last = node.attempts.at(-1);
  const times = timesOf(live, node);
  const now = useNow(running);
  const took = timeOf(times, now);
  const failure =
    status.cause === "timeout" && node.stopped_by !== null
      ? stoppedText(node.stopped_by)
      : failureText(status.cause, last?.exit_code ?? null);
  const state = displayState(status);
  return (
    <span className={styles.state}>
      {last?.from_cache == null || state !== "done" ? (
        <StatePill state={state} reason={failure} />
      ) : (
        <StatePill state="cached" reason={last.from_cache.pipeline} />
      )}
      {took === null || (times.ended === null && !running) ? null : (
        <span className="number">{duration(took)}</span>
      )}
    </span>
  );
}

interface ActionProps extends Pick<Props, "session" | "detail" | "actions"> {
  /** The header of the page has the actions of the root. */
  isRoot: boolean;
}

function NodeActions({ session, detail, actions, isRoot }: ActionProps) {
  const { node } = detail;
  const paths = [node.path];
  const { busy } = actions;
  const debug = useDebugEntries(session, detail);
  const state = session.model?.nodes.get(node.path)?.state ?? node.state;
  const active = state === "running" || state === "queued";
  const kill = () => void actions.nodes("kill", paths);
  const rerun = () => void actions.nodes("rerun", paths);
  const skipLabel = node.skipped ? "Unskip" : "Skip";
  const showOutput = { label: "Show output", onSelect: () => setQuery({ tab: null }) };
  const main = active
    ? { label: "Kill", shortcut: "k", onSelect: kill }
    : { label: "Rerun", shortcut: "r", onSelect: rerun };
  const entries: MenuEntry[] = [
    ...(active ? [{ label: "Rerun", shortcut: "r", onSelect: rerun }] : []),
    { label: "Modify", shortcut: "e", onSelect: () => actions.modify(paths) },
    { label: skipLabel, shortcut: "s", onSelect: () => void actions.toggleSkip(paths) },
    {
      label: "Rebuild and rerun",
      hint: "with the current code in its images",
      onSelect: () => void actions.nodes("rebuild", paths),
    },
    "separator",
    { label: "Copy path", onSelect: () => void copyText(node.path) },
  ];
  const output = node.type === "Exec" ? [showOutput] : [];
  useOfferedActions(isRoot ? [] : [main, ...output, ...entries, ...debug]);
  return (
    <>
      <div className={styles.actions} role="toolbar" aria-label="Actions">
        {isRoot ? null : active ? (
          <Button shortcut="k" disabled={busy} onClick={kill}>
            <Icon name="close" />
            Kill
          </Button>
        ) : (
          <Button shortcut="r" disabled={busy} onClick={rerun}>
            <Icon name="rerun" />
            Rerun
          </Button>
        )}
        {debug.length === 0 ? null : (
          <Menu
            label="Debug"
            entries={debug}
            caption={
              <>
                <Icon name="terminal" />
                Debug
                <Icon name="chevron" />
              </>
            }
          />
        )}
      </div>
      <Menu label="Node actions" entries={entries} />
    </>
  );
}

async function copyText(text: string): Promise<void> {
  if (await copy(text)) toast(`Copied: ${text}`);
}
