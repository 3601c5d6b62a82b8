import { lazy, Suspense } from "react";

const Markdown = lazy(async () => ({ default: (await import("@/components/Markdown")).Markdown }));

/** Markdown, whose code is loaded on demand. */
export function LazyMarkdown({ text }: { text: string }) {
  return (
    <Suspense fallback={null}>
      <Markdown text={text} />
    </Suspense>
  );
}
