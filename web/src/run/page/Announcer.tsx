import { useThrottled } from "@/lib/useThrottled";
import type { PipelineSession } from "@/run/live/session";
import { withoutCommand } from "@/run/model/advice";
import { announcement } from "@/run/model/announcements";
import { ROOT } from "@/run/model/paths";
import { countsText } from "@/run/model/states";

/** Minimum interval between announcements of changes, in ms. */
const INTERVAL_MS = 5000;

/** Announces the current node when another one is opened, and its changes at a limited rate. */
export function Announcer({ session, path }: { session: PipelineSession; path: string }) {
  return (
    <p className="sr-only" role="status" data-announcer>
      <Limited key={path} text={textOf(session, path)} />
    </p>
  );
}

function Limited({ text }: { text: string }) {
  return useThrottled(text, INTERVAL_MS);
}

function textOf(session: PipelineSession, path: string): string {
  const node = session.model?.nodes.get(path);
  if (node === undefined || node.seq < 0) return "";
  const counts = path === ROOT && node.counts !== null ? `, ${countsText(node.counts)}` : "";
  return withoutCommand(announcement(node)) + counts;
}
