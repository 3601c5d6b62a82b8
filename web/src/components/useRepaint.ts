import { useEffect, useRef, type RefObject } from "react";

import { onThemeChange } from "@/components/canvas";

/** Paint after every render and when size or theme change, at most once per frame. */
export function useRepaint(element: RefObject<HTMLElement | null>, paint: () => void): void {
  const newest = useRef(paint);
  const frame = useRef<number | null>(null);
  const schedule = useRef(() => {
    frame.current ??= requestAnimationFrame(() => {
      frame.current = null;
      newest.current();
    });
  });
  useEffect(() => {
    newest.current = paint;
    schedule.current();
  });
  useEffect(() => {
    const repaint = schedule.current;
    const sizes = new ResizeObserver(repaint);
    if (element.current !== null) sizes.observe(element.current);
    const stopWatchingTheme = onThemeChange(repaint);
    return () => {
      sizes.disconnect();
      stopWatchingTheme();
      if (frame.current !== null) cancelAnimationFrame(frame.current);
      frame.current = null;
    };
  }, [element]);
}
