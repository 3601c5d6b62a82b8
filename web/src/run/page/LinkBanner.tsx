import bannerStyles from "@/components/Banner.module.css";
import type { PipelineSession } from "@/run/live/session";

/** A banner for a tree that will not be live again. */
export function LinkBanner({ session }: { session: PipelineSession }) {
  const { link } = session;
  if (link.kind !== "refused") return null;
  return (
    <div className={`${bannerStyles.banner} ${bannerStyles.error}`} role="status">
      <span>{`Disconnected: ${link.message}`}</span>
    </div>
  );
}
