import { useEffect, useRef, type RefObject } from "react";

/** Paint after every render, and when size or colours change, once a frame at most. */
export function useRepaint(element: RefObject<HTMLElement | null>, paint: () => void): void {
  const newest = useRef(paint);
  const frame = useRef<number | null>(null);
  const soon = useRef(() => {
    frame.current ??= requestAnimationFrame(() => {
      frame.current = null;
      newest.current();
    });
  });
  useEffect(() => {
    newest.current = paint;
    soon.current();
  });
  useEffect(() => {
    const again = soon.current;
    const sizes = new ResizeObserver(again);
    if (element.current !== null) sizes.observe(element.current);
    const theme = new MutationObserver(again);
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const system = window.matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", again);
    return () => {
      sizes.disconnect();
      theme.disconnect();
      system.removeEventListener("change", again);
      if (frame.current !== null) cancelAnimationFrame(frame.current);
      frame.current = null;
    };
  }, [element]);
}
