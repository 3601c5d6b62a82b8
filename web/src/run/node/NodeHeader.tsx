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
import { timeOf } from "@/run/model/node";
import { displayState, failureText, isFinished, stoppedText } from "@/run/model/states";
import type { Actions } from "@/run/actions/useActions";
import styles from "@/run/node/NodeHeader.module.css";
import { useDebugEntries } from "@/debug/useDebugEntries";
import { NODE_HEADER } from "@/app/texts";

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
          aria-label={NODE_HEADER.back}
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
      {node.waits_for === null || isFinished(node.state) || isRoot ? null : (
        <p className={styles.waits}>{waitText(node)}</p>
      )}
    </header>
  );
}

/** Why a node waits, since when, and how to end that. */
function waitText({ waits_for: why, wait_since: since, wait_remedy: remedy }: NodeView): string {
  const parts = [withoutCommand(why ?? "")];
  if (since !== null) parts.push(NODE_HEADER.since(moment(since)));
  if (remedy !== null) parts.push(withoutCommand(remedy));
  return parts.join(" · ");
}

function Breadcrumb({ id, path }: { id: string; path: string }) {
  return (
    <nav className={styles.crumbs} aria-label={NODE_HEADER.path}>
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
  const { started, ended, idle } = {
    started: live?.started ?? last?.started ?? node.started,
    ended: live?.ended ?? last?.ended ?? node.ended,
    idle: live?.idle ?? node.idle,
  };
  const now = useNow(running);
  const took = timeOf({ started, ended: running ? null : ended, idle }, now);
  const failure =
    status.cause === "timeout" && node.stopped_by !== null
      ? stoppedText(node.stopped_by)
      : failureText(status.cause, last?.exit_code ?? null);
  return (
    <span className={styles.state}>
      <StatePill state={displayState(status)} reason={failure} />
      {took === null || (ended === null && !running) ? null : (
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
  const skipLabel = node.skipped ? NODE_HEADER.unskip : NODE_HEADER.skip;
  const showOutput = { label: NODE_HEADER.output, onSelect: () => setQuery({ tab: null }) };
  const main = active
    ? { label: NODE_HEADER.kill, shortcut: "k", onSelect: kill }
    : { label: NODE_HEADER.rerun, shortcut: "r", onSelect: rerun };
  const entries: MenuEntry[] = [
    ...(active ? [{ label: NODE_HEADER.rerun, shortcut: "r", onSelect: rerun }] : []),
    { label: NODE_HEADER.modify, shortcut: "e", onSelect: () => actions.modify(paths) },
    { label: skipLabel, shortcut: "s", onSelect: () => void actions.toggleSkip(paths) },
    {
      label: NODE_HEADER.rebuild,
      hint: NODE_HEADER.rebuildHint,
      onSelect: () => void actions.nodes("rebuild", paths),
    },
    "separator",
    { label: NODE_HEADER.copyPath, onSelect: () => void copyText(node.path) },
  ];
  const output = node.type === "Exec" ? [showOutput] : [];
  useOfferedActions(isRoot ? [] : [main, ...output, ...entries, ...debug]);
  return (
    <>
      <div className={styles.actions} role="toolbar" aria-label={NODE_HEADER.actions}>
        {isRoot ? null : active ? (
          <Button shortcut="k" disabled={busy} onClick={kill}>
            <Icon name="close" />
            {NODE_HEADER.kill}
          </Button>
        ) : (
          <Button shortcut="r" disabled={busy} onClick={rerun}>
            <Icon name="rerun" />
            {NODE_HEADER.rerun}
          </Button>
        )}
        {debug.length === 0 ? null : (
          <Menu
            label={NODE_HEADER.debug}
            entries={debug}
            caption={
              <>
                <Icon name="terminal" />
                {NODE_HEADER.debug}
                <Icon name="chevron" />
              </>
            }
          />
        )}
      </div>
      <Menu label={NODE_HEADER.more} entries={entries} />
    </>
  );
}

async function copyText(text: string): Promise<void> {
  if (await copy(text)) toast(NODE_HEADER.copied(text));
}
