import { useEffect, useRef, useState, type ReactNode } from "react";

/** Renders its content when its place is scrolled into view, and keeps it from then on. */
export function WhenVisible({ children }: { children: ReactNode }) {
  const [seen, setSeen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
    });
    if (place.current !== null) observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  return seen ? children : <div ref={place} />;
}
