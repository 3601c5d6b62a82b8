import { OfflineBanner } from "@/components/OfflineBanner";
import type { PipelineSession } from "@/live/session";

/** A banner for a tree that is not live. */
export function LinkBanner({ session }: { session: PipelineSession }) {
  const { link } = session;
  if (link.kind === "offline") return <OfflineBanner onRetry={() => session.retry()} />;
  if (link.kind !== "refused") return null;
  return (
    <div className="banner banner-error" role="status">
      <span>Disconnected: {link.message}</span>
    </div>
  );
}
