import { lazy, Suspense } from "react";

import type { NodeDetail } from "@/api/schema";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { CountsBar, CountsText } from "@/components/Counts";
import { StateMark } from "@/components/StateMark";
import { TypeIcon } from "@/components/TypeIcon";
import { useNow } from "@/components/useNow";
import { debugCommand } from "@/lib/commands";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration, elapsed } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { ancestorsOf, nameOf } from "@/model/paths";
import { failureText, isFinished, markOf, stoppedText } from "@/model/states";
import type { Orders } from "@/pages/pipeline/orders/useOrders";
import { ShellButtons } from "@/pages/pipeline/shell/ShellButtons";

const Markdown = lazy(async () => ({ default: (await import("@/components/Markdown")).Markdown }));

interface Props {
  session: PipelineSession;
  detail: NodeDetail;
  orders: Orders;
  onClose: () => void;
}

export function NodeHeader({ session, detail, orders, onClose }: Props) {
  const { node } = detail;
  const live = session.model?.nodes.get(node.path);
  const known = live !== undefined && live.seq >= 0 ? live : null;
  const mark = markOf(known ?? node);
  const counts = known?.counts ?? node.counts;
  return (
    <header className="nhead">
      <div className="nhead-path">
        <Button look="quiet" className="nhead-back" onClick={onClose} aria-label="Back to the tree">
          ‹ Tree
        </Button>
        <Breadcrumb id={session.id} path={node.path} />
        <CopyButton text={node.path} label="Copy the path" />
      </div>
      <div className="nhead-line">
        <StateMark mark={mark} />
        <h2 className="nhead-name" title={node.path}>
          {nameOf(node.path)}
        </h2>
        <span className="muted nhead-type">
          <TypeIcon type={node.type} /> {node.type}
        </span>
        <StateWords session={session} detail={detail} />
      </div>
      {counts === null ? null : (
        <div className="nhead-counts">
          <CountsText counts={counts} />
          <CountsBar counts={counts} />
        </div>
      )}
      <Actions session={session} detail={detail} orders={orders} />
      {/* Below the buttons: what comes and goes must not move them from under a hand. */}
      {node.waits_for === null || isFinished(node.state) ? null : (
        <p className="nhead-waits">{node.waits_for}</p>
      )}
      {node.doc === null ? null : (
        <Suspense fallback={null}>
          <Markdown text={node.doc} />
        </Suspense>
      )}
    </header>
  );
}

function Breadcrumb({ id, path }: { id: string; path: string }) {
  return (
    <nav className="crumbs" aria-label="Where the node is">
      {ancestorsOf(path).map((above) => (
        <span key={above}>
          <a href={pipelineUrl(id, above)} onClick={followLink}>
            {nameOf(above)}
          </a>
          {above === "/" ? " " : " / "}
        </span>
      ))}
      <span>{nameOf(path)}</span>
    </nav>
  );
}

function StateWords({ session, detail }: { session: PipelineSession; detail: NodeDetail }) {
  const { node } = detail;
  const live = session.model?.nodes.get(node.path);
  const standing = live !== undefined && live.seq >= 0 ? live : node;
  const running = standing.state === "running";
  const last = node.attempts.at(-1);
  const started = live?.started ?? last?.started ?? null;
  const ended = running ? null : (live?.ended ?? last?.ended ?? null);
  const now = useNow(running);
  const took = elapsed(started, ended, now);
  const mark = markOf(standing);
  const failure =
    standing.cause === "timeout" && node.stopped_by !== null
      ? stoppedText(node.stopped_by)
      : failureText(standing.cause, last?.exit_code ?? null);
  return (
    <span className={`number state-${mark}`} role="status">
      {failure === null ? mark : `${mark}: ${failure}`}
      {took === null || (ended === null && !running) ? "" : ` · ${duration(took)}`}
    </span>
  );
}

function Actions({ session, detail, orders }: Omit<Props, "onClose">) {
  const { node } = detail;
  const paths = [node.path];
  const { busy } = orders;
  const isExec = node.type === "Exec";
  return (
    <div className="nhead-actions" role="toolbar" aria-label="Orders to this node">
      <Button shortcut="r" disabled={busy} onClick={() => void orders.nodes("reset", paths)}>
        Reset
      </Button>
      <Button shortcut="s" disabled={busy} onClick={() => void orders.toggleSkip(paths)}>
        {node.skipped ? "Unskip" : "Skip"}
      </Button>
      <Button
        shortcut="k"
        look="danger"
        disabled={busy || isFinished(node.state)}
        onClick={() => void orders.nodes("kill", paths)}
      >
        Kill
      </Button>
      <Button shortcut="m" disabled={busy} onClick={() => orders.modify(paths)}>
        Modify
      </Button>
      <Button
        disabled={busy}
        title="Build the images anew, then run these nodes again"
        onClick={() => void orders.nodes("rebuild", paths)}
      >
        Rebuild and reset
      </Button>
      {isExec ? <Debug session={session} detail={detail} /> : null}
    </div>
  );
}

/** What opens a shell where the node ran: commands to take to a terminal, and one in the page. */
function Debug({ session, detail }: Pick<Props, "session" | "detail">) {
  const { id } = session;
  const { path } = detail.node;
  const inCloud = session.model?.summary.pipeline.mode === "cloud";
  const command = debugCommand(id, path);
  return (
    <span className="debug">
      <span className="debug-label">Debug</span>
      <code className="debug-command clip" title={command}>
        {command}
      </code>
      <CopyButton text={command} label="Copy the debug command" shortcut="d" />
      {inCloud ? (
        <CopyButton
          text={debugCommand(id, path, { remote: true })}
          label="Copy remote debug command"
          title="the same shell on a worker in the cloud, where the data is"
          words="Copy remote"
        />
      ) : (
        <CopyButton
          text={debugCommand(id, path, { live: true })}
          label="Copy live debug command"
          title="livedebug: the same shell, with the code of your own directory in place"
          words="Copy live"
        />
      )}
      <ShellButtons session={session} detail={detail} />
    </span>
  );
}
