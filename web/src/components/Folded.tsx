import { useEffect, useRef, useState, type ReactNode } from "react";

import { Button } from "@/components/Button";

/** What is long shows its beginning until somebody wants all of it; `label` says what it is. */
export function Folded({ label, children }: { label: string; children: ReactNode }) {
  const [all, setAll] = useState(false);
  const [long, setLong] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (frame.current === null || content.current === null) return;
    const { current: outer } = frame;
    const { current: inner } = content;
    // It grows when pictures in it come.
    const sizes = new ResizeObserver(() => setLong(inner.offsetHeight > outer.clientHeight + 1));
    sizes.observe(inner);
    return () => sizes.disconnect();
  }, [all]);
  const look = all ? "" : ` folded-short${long ? " folded-long" : ""}`;
  return (
    <>
      <div ref={frame} className={`folded${look}`}>
        <div ref={content}>{children}</div>
      </div>
      {long || all ? (
        <Button look="quiet" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Show less" : "Show all"}
          <span className="sr-only"> of {label}</span>
        </Button>
      ) : null}
    </>
  );
}
