import { useEffect, useRef, type RefObject } from "react";

/** Listen to the wheel. React's listeners are passive and cannot prevent the page from zooming. */
export function useWheel(
  element: RefObject<HTMLElement | null>,
  onWheel: (event: WheelEvent) => void,
): void {
  const newest = useRef(onWheel);
  useEffect(() => {
    newest.current = onWheel;
  });
  useEffect(() => {
    const target = element.current;
    const listener = (event: WheelEvent) => newest.current(event);
    target?.addEventListener("wheel", listener, { passive: false });
    return () => target?.removeEventListener("wheel", listener);
  }, [element]);
}
