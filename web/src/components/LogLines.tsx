import { useVirtualizer } from "@tanstack/react-virtual";
import { useState, useRef, useEffect, type ComponentProps, type ReactNode } from "react";

import { Button } from "@/components/Button";
import styles from "@/components/LogLines.module.css";
import { LogLine } from "@/components/LogLine";
import { useSetting } from "@/lib/settings";

const LINE_HEIGHT = 20;
/** Distance from the end in px up to which the log keeps following; new lines move the end away. */
const NEAR_END = 240;

export type LogScroll = ReturnType<typeof useLogScroll>;

/**
 * Scrolling of a log that follows its end until the user scrolls up. `hasFirst` leaves room for a
 * line before the log. `alwaysWraps`: whatever the setting.
 */
export function useLogScroll(
  count: number,
  followAtFirst = true,
  hasFirst = false,
  alwaysWraps = false,
) {
  const [wrapSetting, setWrap] = useSetting("wrap");
  const wrap = wrapSetting || alwaysWraps;
  const [follow, setFollow] = useState(followAtFirst);
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroll.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 20,
    paddingStart: hasFirst ? LINE_HEIGHT : 0,
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

interface PanelProps {
  label: string;
  /** Controls above the lines; `wraps`: in several rows if they need it. */
  tools: ReactNode;
  wraps?: boolean;
  /** Facts below the lines. */
  foot: ReactNode;
  children: ReactNode;
}

/** A log with its controls and facts. */
export function LogPanel({ label, tools, wraps = false, foot, children }: PanelProps) {
  return (
    <div className={styles.panel}>
      <div
        className={`${styles.tools ?? ""} ${wraps ? (styles.wraps ?? "") : ""}`}
        role="toolbar"
        aria-label={label}
      >
        {tools}
      </div>
      {children}
      <div className={`${styles.foot ?? ""} number`}>{foot}</div>
    </div>
  );
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
  /** Shown as the first line, if the log was made with room for it. */
  first?: ReactNode;
  line: (index: number) => LineProps;
  /** Lines that are marked beside the scroll bar. */
  marks?: readonly LogMark[];
}

/** A mark at a line, drawn in a strip that stands for the whole log. */
export interface LogMark {
  index: number;
  kind: "error" | "warning" | "match";
}

/** The visible lines of a log. */
export function LogLines({ log, label, first, line, marks = [] }: Props) {
  const { wrap, follow, setFollow, scroll, virtual } = log;
  const onScroll = () => {
    const box = scroll.current;
    if (box === null || !follow) return;
    if (box.scrollHeight - box.scrollTop - box.clientHeight > NEAR_END) setFollow(false);
  };
  return (
    <div className={styles.frame}>
      <div
        ref={scroll}
        className={`${styles.lines ?? ""} ${wrap ? (styles.wrap ?? "") : ""}`}
        role="log"
        aria-label={label}
        aria-live="off"
        tabIndex={0}
        onScroll={onScroll}
        onKeyDown={({ key }) => {
          if (key === "End") setFollow(true);
        }}
      >
        <div className={styles.body} style={{ height: virtual.getTotalSize() }}>
          {first === undefined ? null : <div className={styles.first}>{first}</div>}
          {virtual.getVirtualItems().map((item) => (
            <LogLine
              key={item.key}
              top={item.start}
              {...line(item.index)}
              index={item.index}
              {...(wrap ? { measure: virtual.measureElement } : {})}
            />
          ))}
        </div>
      </div>
      {virtual.getTotalSize() > (virtual.scrollRect?.height ?? 0) ? (
        <Marks marks={marks} count={virtual.options.count} />
      ) : null}
    </div>
  );
}

/** Marks nearer to each other than this share of the log are one. */
const MARK_STEPS = 250;

function Marks({ marks, count }: { marks: readonly LogMark[]; count: number }) {
  if (marks.length === 0 || count === 0) return null;
  const steps = new Map<string, LogMark["kind"]>();
  for (const { index, kind } of marks) {
    const step = Math.round((index / count) * MARK_STEPS);
    steps.set(`${kind} ${step}`, kind);
  }
  return (
    <div className={styles.marks} aria-hidden>
      {[...steps].map(([key, kind]) => (
        <i
          key={key}
          className={kind === "error" ? styles.markError : styles.markOther}
          style={{ top: `${(100 * Number(key.split(" ")[1])) / MARK_STEPS}%` }}
        />
      ))}
    </div>
  );
}
