import { useLayoutEffect, useRef, useState, type ReactNode } from "react";

import { Button } from "@/components/Button";
import styles from "@/components/Collapsible.module.css";

/** Content that shows only its beginning if it is long. `label` describes it to screen readers. */
export function Collapsible({ label, children }: { label: string; children: ReactNode }) {
  const [expanded, setExpanded] = useState(false);
  const [isLong, setIsLong] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (frame.current === null || content.current === null) return;
    const { current: outer } = frame;
    const { current: inner } = content;
    // The content grows as images load.
    const measure = () => setIsLong(inner.offsetHeight > outer.clientHeight + 1);
    measure();
    const sizes = new ResizeObserver(measure);
    sizes.observe(inner);
    return () => sizes.disconnect();
  }, [expanded]);
  const look = expanded ? "" : `${styles.short} ${isLong ? styles.long : ""}`;
  return (
    <>
      <div ref={frame} className={`${styles.frame} ${look}`}>
        <div ref={content}>{children}</div>
      </div>
      {isLong || expanded ? (
        <Button variant="quiet" aria-expanded={expanded} onClick={() => setExpanded(!expanded)}>
          {expanded ? "Show less" : "Show all"}
          <span className="sr-only">{` of ${label}`}</span>
        </Button>
      ) : null}
    </>
  );
}
