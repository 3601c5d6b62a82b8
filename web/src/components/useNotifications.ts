import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { toast } from "@/components/toasts";
import { navigate, pipelineUrl } from "@/lib/location";
import { useSetting } from "@/lib/settings";
import { addToBadge } from "@/lib/titleBadge";
import { setWatched, useWatched } from "@/lib/watched";
import { newsOf, outcomeText, type PipelineNews } from "@/notifications/model/notifications";

const POLL_MS = 4000;
/** Only the newest pipelines are polled. */
const MAX_PIPELINES = 200;

/** Whether browser notifications are allowed; null if the browser has none. */
export function mayNotify(): boolean | null {
  return "Notification" in window ? Notification.permission === "granted" : null;
}

/**
 * Announce the end and the first failure of pipelines: of those that the user watches, or of all if
 * that is set. The title of the tab counts them; a notification appears if they are allowed.
 */
export function useNotifications(): void {
  const [all] = useSetting("notify");
  const watched = useWatched();
  const on = (all && mayNotify() === true) || watched.length > 0;
  const before = useRef<readonly PipelineSummary[]>([]);
  const { data } = useQuery({
    queryKey: ["notices"],
    queryFn: ({ signal }) => api.pipelines({ lifecycle: "active", limit: MAX_PIPELINES }, signal),
    enabled: on,
    refetchInterval: POLL_MS,
    refetchIntervalInBackground: true,
  });
  useEffect(() => {
    if (!on || data === undefined) return;
    for (const news of newsOf(before.current, data.pipelines)) {
      const isWatched = watched.includes(news.summary.pipeline.id);
      if (isWatched || all) announce(news);
    }
    before.current = data.pipelines;
  }, [on, all, watched, data]);
}

/** Watch a pipeline or stop it; ask for the browser's permission if it was never asked. */
export async function watchPipeline(id: string, watched: boolean): Promise<void> {
  setWatched(id, watched);
  if (!watched) return;
  const can = mayNotify();
  const granted =
    can === true || (can === false && (await Notification.requestPermission()) === "granted");
  toast(
    granted
      ? "You will be notified when it ends or fails, while a tab of this app is open"
      : "Watching this pipeline. The browser does not allow notifications, so the title of the tab counts its events.",
  );
}

function announce({ summary, kind }: PipelineNews): void {
  const { id, title } = summary.pipeline;
  const address = pipelineUrl(id);
  addToBadge();
  if (!document.hidden && location.pathname === address) return;
  const body = kind === "failing" ? "First failure" : outcomeText(summary);
  if (mayNotify() !== true) {
    toast(`${title}: ${body}`);
    return;
  }
  try {
    // The tag prevents duplicates from several tabs.
    const notice = new Notification(title, { body, tag: `${id} ${kind}`, icon: "/icon.svg" });
    notice.onclick = () => {
      window.focus();
      navigate(address);
    };
  } catch {
    toast(`${title}: ${body}`); // Chrome on Android allows notifications only from service workers
  }
}
