import { useVirtualizer } from "@tanstack/react-virtual";
import { useState, useRef, useEffect, type ComponentProps, type ReactNode } from "react";

import { Button } from "@/components/Button";
import { LogLine } from "@/components/LogLine";
import { useSetting } from "@/lib/settings";

const LINE_HEIGHT = 18;
/** Distance from the end in px up to which the log keeps following; new lines move the end away. */
const NEAR_END = 240;

export type LogScroll = ReturnType<typeof useLogScroll>;

/** Scrolling of a log that follows its end until the user scrolls up. */
export function useLogScroll(count: number, followAtFirst = true) {
  const [wrap, setWrap] = useSetting("wrap");
  const [follow, setFollow] = useState(followAtFirst);
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroll.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 20,
  });
  useEffect(() => {
    if (follow && count > 0) virtual.scrollToIndex(count - 1, { align: "end" });
  }, [follow, count, virtual, wrap]);
  const scrollTo = (index: number) => {
    setFollow(false);
    virtual.scrollToIndex(Math.max(0, index), { align: "center" });
  };
  return { wrap, setWrap, follow, setFollow, scroll, virtual, scrollTo };
}

/** Buttons that change how a log scrolls and wraps. */
export function LogButtons({ log }: { log: LogScroll }) {
  return (
    <>
      <Button
        aria-pressed={log.follow}
        title="Scroll to new lines"
        onClick={() => log.setFollow(!log.follow)}
      >
        Follow
      </Button>
      <Button aria-pressed={log.wrap} onClick={() => log.setWrap(!log.wrap)}>
        Wrap
      </Button>
    </>
  );
}

type LineProps = Omit<ComponentProps<typeof LogLine>, "top" | "measure" | "index">;

interface Props {
  log: LogScroll;
  label: string;
  /** Shown above the lines. */
  note?: ReactNode;
  line: (index: number) => LineProps;
}

/** The visible lines of a log. */
export function LogLines({ log, label, note, line }: Props) {
  const { wrap, follow, setFollow, scroll, virtual } = log;
  const onScroll = () => {
    const box = scroll.current;
    if (box === null || !follow) return;
    if (box.scrollHeight - box.scrollTop - box.clientHeight > NEAR_END) setFollow(false);
  };
  return (
    <div
      ref={scroll}
      className={wrap ? "log-lines log-wrap" : "log-lines"}
      role="log"
      aria-label={label}
      aria-live="off"
      tabIndex={0}
      onScroll={onScroll}
    >
      {note}
      <div className="log-body" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => (
          <LogLine
            key={item.key}
            top={item.start}
            {...line(item.index)}
            {...(wrap ? { measure: virtual.measureElement, index: item.index } : {})}
          />
        ))}
      </div>
    </div>
  );
}
