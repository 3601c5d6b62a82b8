import { Pending } from "@/components/InOrder";
import { lazily } from "@/components/lazily";

/** Markdown, whose code is loaded on demand. */
export const LazyMarkdown = lazily(async () => (await import("@/components/Markdown")).Markdown, {
  placeholder: <Pending />,
});
