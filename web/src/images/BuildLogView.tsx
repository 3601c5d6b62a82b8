import type { ImageState } from "@/api/schema";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { LogButtons, LogLines, LogPanel, useLogScroll } from "@/components/LogLines";
import { bytes, plural } from "@/lib/time";
import { BuildLog } from "@/images/live/buildLog";
import { useLive, useLiveVersion } from "@/api/stream";
import { BuildSteps } from "@/images/BuildSteps";
import { IMAGE_PAGE } from "@/images/texts/images";

interface Props {
  id: string;
  image: string;
  state: ImageState;
}

export function BuildLogView({ id, image, state }: Props) {
  const log = useLive(() => new BuildLog(id, image), `${id} ${image}`);
  return log === null ? null : <Lines log={log} state={state} />;
}

function Lines({ log, state }: { log: BuildLog; state: ImageState }) {
  useLiveVersion(log);
  const { lines } = log;
  const scroll = useLogScroll(lines.length);
  if (log.error !== null) return <LoadError message={log.error} />;
  if (log.complete === null) return <Loading />;
  const steps = <BuildSteps steps={log.steps} building={state !== "done" && state !== "error"} />;
  if (lines.length === 0) {
    return (
      <>
        {steps}
        <NoOutput state={state} />
      </>
    );
  }
  return (
    <>
      {steps}
      <LogPanel
        label={IMAGE_PAGE.buildLog}
        tools={
          <>
            <h3>{IMAGE_PAGE.buildLog}</h3>
            <LogButtons log={scroll} />
          </>
        }
        foot={
          <span>
            {plural(lines.length, "line")}
            {log.complete ? "" : IMAGE_PAGE.soFar}
            {log.skipped > 0 ? IMAGE_PAGE.cut(bytes(log.skipped)) : ""}
          </span>
        }
      >
        <LogLines
          log={scroll}
          label={IMAGE_PAGE.buildLog}
          line={(number) => ({ number, spans: lines[number], marked: null })}
        />
      </LogPanel>
    </>
  );
}

function NoOutput({ state }: { state: ImageState }) {
  if (state === "pending") {
    return (
      <EmptyState title={IMAGE_PAGE.notBuiltYet}>
        <p className="muted">{IMAGE_PAGE.builtWhen}</p>
      </EmptyState>
    );
  }
  if (state === "error") return null; // the error is shown above
  return state === "done" ? (
    <EmptyState title={IMAGE_PAGE.noBuildOutput}>
      <p className="muted">{IMAGE_PAGE.existed}</p>
    </EmptyState>
  ) : (
    <p className="muted page-note">{IMAGE_PAGE.noOutputYet}</p>
  );
}
