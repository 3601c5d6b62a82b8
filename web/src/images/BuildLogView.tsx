import type { ImageState } from "@/api/schema";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { LogButtons, LogLines, LogPanel, useLogScroll } from "@/components/LogLines";
import { bytes, plural } from "@/lib/time";
import { BuildLog } from "@/images/live/buildLog";
import { useLive, useLiveVersion } from "@/api/stream";
import { BuildSteps } from "@/images/BuildSteps";

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
        label="Build log"
        tools={
          <>
            <h3>Build log</h3>
            <LogButtons log={scroll} />
          </>
        }
        foot={
          <span>
            {plural(lines.length, "line")}
            {log.complete ? "" : " so far"}
            {log.skipped > 0 ? `; the first ${bytes(log.skipped)} are not shown` : ""}
          </span>
        }
      >
        <LogLines
          log={scroll}
          label="Build log"
          line={(number) => ({ number, spans: lines[number], marked: null })}
        />
      </LogPanel>
    </>
  );
}

function NoOutput({ state }: { state: ImageState }) {
  if (state === "pending") {
    return (
      <EmptyState
        title="Not built yet"
        text="The image is built before the first command that uses it."
        docs="concepts/images"
      />
    );
  }
  if (state === "error") return null; // the error is shown above
  return state === "done" ? (
    <EmptyState
      title="No build output"
      text="The image already existed, so no build was needed."
      docs="concepts/images"
    />
  ) : (
    <p className="muted page-note">No output yet…</p>
  );
}
