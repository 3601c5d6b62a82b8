import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { CountsText } from "@/components/Counts";
import { Menu } from "@/components/Menu";
import { PipelineHead } from "@/components/PipelineHead";
import { StateLabel } from "@/components/StateIcon";
import { moment } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { ROOT } from "@/model/paths";
import { pauseText, runHint } from "@/model/paused";
import { pipelineState } from "@/model/programs";
import { failures, isFailed } from "@/model/states";
import type { Actions } from "@/pages/pipeline/actions/useActions";
import { Elapsed, Waiting, WorkersInUse } from "@/pages/pipeline/HeaderFacts";

interface Props {
  session: PipelineSession;
  actions: Actions;
  onHelp: () => void;
}

export function PipelineHeader({ session, actions, onHelp }: Props) {
  const summary = session.model?.summary;
  if (summary === undefined) return null;
  const { pipeline, counts } = summary;
  const facts = (
    <>
      <StateLabel state={pipelineState(summary)} />
      <Elapsed summary={summary} />
      <CountsText counts={counts} />
      <WorkersInUse summary={summary} />
      <StatusFacts summary={summary} />
    </>
  );
  return (
    <PipelineHead {...pipeline} page="tree" counts={counts} facts={facts}>
      <span className="phead-grow" />
      <RunButton summary={summary} actions={actions} />
      <Menu
        label="More"
        entries={[
          {
            label: "Rerun failed",
            disabled: failures(counts) === 0 && !isFailed(summary.state),
            onSelect: () => void actions.rerunFailed(ROOT),
          },
          pipeline.lifecycle === "active"
            ? { label: "Sleep", onSelect: () => void actions.pipeline("sleep") }
            : { label: "Wake", onSelect: () => void actions.pipeline("wake") },
          { label: "Archive", onSelect: () => void actions.pipeline("archive") },
          { label: "Download report", download: api.exportFile(pipeline.id) },
          { label: "Keyboard shortcuts", shortcut: "?", onSelect: onHelp },
        ]}
      />
    </PipelineHead>
  );
}

function RunButton({ summary, actions }: { summary: PipelineSummary; actions: Actions }) {
  const action = summary.pipeline.armed ? "pause" : "run";
  return (
    <Button
      variant={action === "run" ? "main" : "plain"}
      shortcut="g"
      disabled={actions.busy}
      onClick={() => void actions.pipeline(action)}
    >
      {action === "run" ? "Run" : "Pause"}
    </Button>
  );
}

/** Warns that another user changed the pipeline, so that its owner's secrets are withheld. */
function ForeignChange({ pipeline }: { pipeline: PipelineSummary["pipeline"] }) {
  const change = pipeline.foreign_change;
  if (change === null) return null;
  return (
    <span className="state-error">
      commands run without the user secrets of {pipeline.owner}: {change.by} changed this pipeline (
      {change.change.replace("_", " ")}, {moment(change.time)}). To run with your own secrets,
      launch it again.
    </span>
  );
}

function StatusFacts({ summary }: { summary: PipelineSummary }) {
  const { pipeline, images } = summary;
  const building = images.filter((image) => !["pending", "done", "error"].includes(image.state));
  const failed = images.filter((image) => image.state === "error");
  return (
    <>
      {pipeline.lifecycle === "active" ? null : <span>{pipeline.lifecycle}</span>}
      {pipeline.problem === null ? null : (
        <span className="state-error">paused: {pipeline.problem}</span>
      )}
      <ForeignChange pipeline={pipeline} />
      {pipeline.armed || pipeline.problem !== null ? null : (
        <span className={summary.settled ? "muted" : "state-queued"}>
          {pauseText(summary)}. {runHint(summary)}
        </span>
      )}
      <Waiting summary={summary} />
      {building.map((image) => (
        <span key={image.name} className="state-running">
          image {image.name}: {image.state}
        </span>
      ))}
      {failed.map((image) => (
        <span key={image.name} className="state-error">
          image {image.name}: build failed
        </span>
      ))}
    </>
  );
}
