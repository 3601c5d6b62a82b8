import type { PipelineSession } from "@/live/session";
import { Button } from "@/ui/Button";

/** Says when what is shown is not live. */
export function LinkBanner({ session }: { session: PipelineSession }) {
  const { link } = session;
  if (link.kind === "live" || link.kind === "connecting") return null;
  const refused = link.kind === "refused";
  return (
    <div className={refused ? "banner banner-error" : "banner"} role="status">
      <span>
        {refused
          ? `Not live any more: ${link.message}`
          : "Offline: the agent does not answer. What is shown is what was known last; it goes on by itself when the agent is back."}
      </span>
      {refused ? null : <Button onClick={() => session.retry()}>Try now</Button>}
    </div>
  );
}
