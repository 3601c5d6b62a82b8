import { useEffect, useRef, useState } from "react";

/** A value that updates at most once per `ms` milliseconds. */
export function useThrottled<T>(value: T, ms: number): T {
  const [throttled, setThrottled] = useState(value);
  const lastUpdate = useRef(0);
  useEffect(() => {
    if (value === throttled) return;
    const wait = Math.max(0, lastUpdate.current + ms - performance.now());
    const timer = window.setTimeout(() => {
      lastUpdate.current = performance.now();
      setThrottled(value);
    }, wait);
    return () => window.clearTimeout(timer);
  }, [value, throttled, ms]);
  return throttled;
}
