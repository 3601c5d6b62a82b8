import type { NodeDetail } from "@/api/schema";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { CountsBar, CountsText } from "@/components/Counts";
import { LazyMarkdown } from "@/components/LazyMarkdown";
import { StateIcon } from "@/components/StateIcon";
import { TypeIcon } from "@/components/TypeIcon";
import { useNow } from "@/components/useNow";
import { debugCommand } from "@/lib/commands";
import { followLink, pipelineUrl } from "@/lib/location";
import { duration, elapsed } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { ancestorsOf, nameOf } from "@/model/paths";
import { displayState, failureText, isFinished, stateLabel, stoppedText } from "@/model/states";
import type { Actions } from "@/pages/pipeline/actions/useActions";
import { ShellButtons } from "@/pages/pipeline/shell/ShellButtons";

interface Props {
  session: PipelineSession;
  detail: NodeDetail;
  actions: Actions;
  onClose: () => void;
}

export function NodeHeader({ session, detail, actions, onClose }: Props) {
  const { node } = detail;
  const live = session.model?.nodes.get(node.path);
  const known = live !== undefined && live.seq >= 0 ? live : null;
  const mark = displayState(known ?? node);
  const counts = known?.counts ?? node.counts;
  return (
    <header className="nhead">
      <div className="nhead-path">
        <Button
          variant="quiet"
          className="nhead-back"
          onClick={onClose}
          aria-label="Back to the tree"
        >
          ‹ Tree
        </Button>
        <Breadcrumb id={session.id} path={node.path} />
        <CopyButton text={node.path} label="Copy path" />
      </div>
      <div className="nhead-line">
        <StateIcon state={mark} />
        <h2 className="nhead-name" title={node.path}>
          {nameOf(node.path)}
        </h2>
        <span className="muted nhead-type">
          <TypeIcon type={node.type} /> {node.type}
        </span>
        <StateText session={session} detail={detail} />
      </div>
      {counts === null ? null : (
        <div className="nhead-counts">
          <CountsText counts={counts} />
          <CountsBar counts={counts} />
        </div>
      )}
      <NodeActions session={session} detail={detail} actions={actions} />
      {/* Below the buttons, so that changes do not move them. */}
      {node.waits_for === null || isFinished(node.state) ? null : (
        <p className="nhead-waits">{node.waits_for}</p>
      )}
      {node.doc === null ? null : <LazyMarkdown text={node.doc} />}
    </header>
  );
}

function Breadcrumb({ id, path }: { id: string; path: string }) {
  return (
    <nav className="crumbs" aria-label="Path">
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

function StateText({ session, detail }: { session: PipelineSession; detail: NodeDetail }) {
  const { node } = detail;
  const live = session.model?.nodes.get(node.path);
  const status = live !== undefined && live.seq >= 0 ? live : node;
  const running = status.state === "running";
  const last = node.attempts.at(-1);
  const started = live?.started ?? last?.started ?? null;
  const ended = running ? null : (live?.ended ?? last?.ended ?? null);
  const now = useNow(running);
  const took = elapsed(started, ended, now);
  const mark = displayState(status);
  const failure =
    status.cause === "timeout" && node.stopped_by !== null
      ? stoppedText(node.stopped_by)
      : failureText(status.cause, last?.exit_code ?? null);
  return (
    <span className={`number state-${mark}`} role="status">
      {failure === null ? stateLabel(mark) : `${stateLabel(mark)}: ${failure}`}
      {took === null || (ended === null && !running) ? "" : ` · ${duration(took)}`}
    </span>
  );
}

function NodeActions({ session, detail, actions }: Omit<Props, "onClose">) {
  const { node } = detail;
  const paths = [node.path];
  const { busy } = actions;
  const isExec = node.type === "Exec";
  return (
    <div className="nhead-actions" role="toolbar" aria-label="Actions">
      <Button shortcut="r" disabled={busy} onClick={() => void actions.nodes("rerun", paths)}>
        Rerun
      </Button>
      <Button shortcut="s" disabled={busy} onClick={() => void actions.toggleSkip(paths)}>
        {node.skipped ? "Unskip" : "Skip"}
      </Button>
      <Button
        shortcut="k"
        variant="danger"
        disabled={busy || isFinished(node.state)}
        onClick={() => void actions.nodes("kill", paths)}
      >
        Kill
      </Button>
      <Button shortcut="m" disabled={busy} onClick={() => actions.modify(paths)}>
        Modify
      </Button>
      <Button
        disabled={busy}
        title="Rebuild the images, then rerun"
        onClick={() => void actions.nodes("rebuild", paths)}
      >
        Rebuild and rerun
      </Button>
      {isExec ? <Debug session={session} detail={detail} /> : null}
    </div>
  );
}

/** Commands for a debug shell, and buttons to open one in the page. */
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
      <CopyButton text={command} label="Copy debug command" shortcut="d" />
      {inCloud ? (
        <CopyButton
          text={debugCommand(id, path, { remote: true })}
          label="Copy remote debug command"
          title="The same shell on a worker in the cloud, with access to the data"
          caption="Copy remote"
        />
      ) : (
        <CopyButton
          text={debugCommand(id, path, { live: true })}
          label="Copy live debug command"
          title="livedebug: the same shell with your local code"
          caption="Copy live"
        />
      )}
      <ShellButtons session={session} detail={detail} />
    </span>
  );
}
