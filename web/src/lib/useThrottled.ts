import { useEffect, useRef, useState } from "react";

/** A value that changes often, taken over no more than once in so many milliseconds. */
export function useThrottled<T>(value: T, ms: number): T {
  const [taken, setTaken] = useState(value);
  const at = useRef(0);
  useEffect(() => {
    if (value === taken) return;
    const wait = Math.max(0, at.current + ms - performance.now());
    const timer = window.setTimeout(() => {
      at.current = performance.now();
      setTaken(value);
    }, wait);
    return () => window.clearTimeout(timer);
  }, [value, taken, ms]);
  return taken;
}
