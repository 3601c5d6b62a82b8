import { AwayBanner } from "@/components/AwayBanner";
import type { PipelineSession } from "@/live/session";

/** Says when what is shown is not live. */
export function LinkBanner({ session }: { session: PipelineSession }) {
  const { link } = session;
  if (link.kind === "offline") return <AwayBanner onRetry={() => session.retry()} />;
  if (link.kind !== "refused") return null;
  return (
    <div className="banner banner-error" role="status">
      <span>Not live any more: {link.message}</span>
    </div>
  );
}
