import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { CountsBar, CountsText } from "@/components/Counts";
import { Menu } from "@/components/Menu";
import { PipelineNav } from "@/components/PipelineNav";
import { StateLabel } from "@/components/StateMark";
import { moment } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { ROOT } from "@/model/paths";
import { pauseText, runHint } from "@/model/paused";
import { failures, isFailed } from "@/model/states";
import { Elapsed, Waiting, WorkersInUse } from "@/pages/pipeline/HeaderFacts";
import type { Orders } from "@/pages/pipeline/orders/useOrders";

interface Props {
  session: PipelineSession;
  orders: Orders;
  onHelp: () => void;
}

export function PipelineHeader({ session, orders, onHelp }: Props) {
  const summary = session.model?.summary;
  if (summary === undefined) return null;
  const { pipeline, counts } = summary;
  return (
    <header className="phead">
      <div className="phead-line">
        <h1 className="clip" title={pipeline.title}>
          {pipeline.title}
        </h1>
        <code className="muted">{pipeline.id}</code>
        {pipeline.tags.map((tag) => (
          <span key={tag} className="tag">
            {tag}
          </span>
        ))}
        <span className="phead-grow" />
        <RunButton summary={summary} orders={orders} />
        <Menu
          label="More"
          entries={[
            {
              label: "Reset what failed",
              disabled: failures(counts) === 0 && !isFailed(summary.state),
              onSelect: () => void orders.resetFailed(ROOT),
            },
            pipeline.lifecycle === "active"
              ? { label: "Sleep", onSelect: () => void orders.whole("sleep") }
              : { label: "Wake", onSelect: () => void orders.whole("wake") },
            { label: "Archive", onSelect: () => void orders.whole("archive") },
            { label: "Download report", download: api.exportFile(pipeline.id) },
            { label: "Keys", shortcut: "?", onSelect: onHelp },
          ]}
        />
      </div>
      <div className="phead-line phead-facts">
        <StateLabel mark={summary.state} />
        <Elapsed summary={summary} />
        <CountsText counts={counts} />
        <WorkersInUse summary={summary} />
        <Facts summary={summary} />
      </div>
      <PipelineNav id={pipeline.id} current="tree" />
      <CountsBar counts={counts} />
    </header>
  );
}

function RunButton({ summary, orders }: { summary: PipelineSummary; orders: Orders }) {
  const { armed } = summary.pipeline;
  return armed ? (
    <Button shortcut="g" disabled={orders.busy} onClick={() => void orders.whole("pause")}>
      Pause
    </Button>
  ) : (
    <Button
      look="main"
      shortcut="g"
      disabled={orders.busy}
      onClick={() => void orders.whole("run")}
    >
      Run
    </Button>
  );
}

/** Says that somebody else changed the pipeline and what that means for its secrets. */
function ForeignChange({ pipeline }: { pipeline: PipelineSummary["pipeline"] }) {
  const change = pipeline.foreign_change;
  if (change === null) return null;
  return (
    <span className="state-error">
      commands run without the user secrets of {pipeline.owner}: {change.by} changed this pipeline (
      {change.change.replace("_", " ")}, {moment(change.time)}); launch it again to run it with your
      own
    </span>
  );
}

/** Whether it goes on, why it does not, and what it waits for. */
function Facts({ summary }: { summary: PipelineSummary }) {
  const { pipeline, images } = summary;
  const underWay = images.filter((image) => !["pending", "done", "error"].includes(image.state));
  const broken = images.filter((image) => image.state === "error");
  return (
    <>
      {pipeline.lifecycle === "active" ? null : <span>{pipeline.lifecycle}</span>}
      {pipeline.problem === null ? null : (
        <span className="state-error">paused: {pipeline.problem}</span>
      )}
      <ForeignChange pipeline={pipeline} />
      {pipeline.armed || pipeline.problem !== null ? null : (
        <span className={summary.settled ? "muted" : "state-queued"}>
          {pauseText(summary)}; {runHint(summary)}
        </span>
      )}
      <Waiting summary={summary} />
      {underWay.map((image) => (
        <span key={image.name} className="state-running">
          image {image.name}: {image.state}
        </span>
      ))}
      {broken.map((image) => (
        <span key={image.name} className="state-error">
          image {image.name}: not built
        </span>
      ))}
    </>
  );
}
