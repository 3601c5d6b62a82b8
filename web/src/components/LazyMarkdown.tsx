import { lazy, Suspense } from "react";

import { preloadable } from "@/lib/preload";

const Markdown = lazy(
  preloadable(async () => ({ default: (await import("@/components/Markdown")).Markdown })),
);

/** Markdown, whose code is loaded on demand. */
export function LazyMarkdown({ text }: { text: string }) {
  return (
    <Suspense fallback={null}>
      <Markdown text={text} />
    </Suspense>
  );
}
