import "@/pages/pipeline/ansi.css";
import "@/pages/pipeline/pipeline.css";

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

import type { ImageState } from "@/api/schema";
import { Button } from "@/components/Button";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { useSetting } from "@/lib/settings";
import { bytes, plural } from "@/lib/time";
import { BuildLog } from "@/live/buildLog";
import { BuildSteps } from "@/pages/images/BuildSteps";
import { LogLine } from "@/pages/pipeline/node/LogLine";

const LINE_HEIGHT = 18;
/** Distance from the end in px up to which the log keeps following. */
const NEAR_END = 240;

interface Props {
  id: string;
  image: string;
  state: ImageState;
}

export function BuildLogView({ id, image, state }: Props) {
  const [log, setLog] = useState<BuildLog | null>(null);
  useEffect(() => {
    const opened = new BuildLog(id, image);
    setLog(opened);
    return () => opened.close();
  }, [id, image]);
  return log === null ? null : <Lines log={log} state={state} />;
}

function Lines({ log, state }: { log: BuildLog; state: ImageState }) {
  useSyncExternalStore(log.subscribe, log.getVersion);
  const [wrap, setWrap] = useSetting("wrap");
  const [follow, setFollow] = useState(true);
  const scroll = useRef<HTMLDivElement>(null);
  const { lines } = log;
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 20,
  });
  useEffect(() => {
    if (follow && lines.length > 0) virtual.scrollToIndex(lines.length - 1, { align: "end" });
  }, [follow, lines, virtual, wrap]);
  const onScroll = () => {
    const box = scroll.current;
    if (box === null || !follow) return;
    if (box.scrollHeight - box.scrollTop - box.clientHeight > NEAR_END) setFollow(false);
  };
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
      <div className="log">
        <div className="log-bar" role="toolbar" aria-label="Build log">
          <h3>Build log</h3>
          <span className="phead-grow" />
          <Button aria-pressed={follow} onClick={() => setFollow(!follow)}>
            Follow
          </Button>
          <Button aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
            Wrap
          </Button>
        </div>
        <div
          ref={scroll}
          className={wrap ? "log-lines log-wrap" : "log-lines"}
          role="log"
          aria-label="Build log"
          aria-live="off"
          tabIndex={0}
          onScroll={onScroll}
        >
          <div className="log-body" style={{ height: virtual.getTotalSize() }}>
            {virtual.getVirtualItems().map((item) => (
              <LogLine
                key={item.key}
                number={item.index}
                top={item.start}
                spans={lines[item.index]}
                marked={null}
                {...(wrap ? { measure: virtual.measureElement, index: item.index } : {})}
              />
            ))}
          </div>
        </div>
        <p className="log-foot muted number">
          {plural(lines.length, "line")}
          {log.complete ? "" : " so far"}
          {log.skipped > 0 ? `; the first ${bytes(log.skipped)} are not shown` : ""}
        </p>
      </div>
    </>
  );
}

function NoOutput({ state }: { state: ImageState }) {
  if (state === "pending") {
    return (
      <EmptyState title="Not built yet">
        <p className="muted">The image is built before the first command that uses it.</p>
      </EmptyState>
    );
  }
  if (state === "error") return null; // the error is shown above
  return state === "done" ? (
    <EmptyState title="No build output">
      <p className="muted">The image already existed, so no build was needed.</p>
    </EmptyState>
  ) : (
    <p className="muted page-note">No output yet…</p>
  );
}
