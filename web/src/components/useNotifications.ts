import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { toast } from "@/components/toasts";
import { navigate, pipelineUrl } from "@/lib/location";
import { useSetting } from "@/lib/settings";
import { newlySettled, outcomeText } from "@/model/notifications";

const POLL_MS = 4000;
/** Only the newest pipelines are polled. */
const MAX_PIPELINES = 200;

/** Whether browser notifications are allowed; null if the browser has none. */
export function mayNotify(): boolean | null {
  return "Notification" in window ? Notification.permission === "granted" : null;
}

/** If enabled in the settings, notify when a pipeline finishes that is not in view. */
export function useNotifications(): void {
  const [wanted] = useSetting("notify");
  const on = wanted && mayNotify() === true;
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
    for (const one of newlySettled(before.current, data.pipelines)) notify(one);
    before.current = data.pipelines;
  }, [on, data]);
}

function notify(summary: PipelineSummary): void {
  const { id, title } = summary.pipeline;
  const address = pipelineUrl(id);
  if (!document.hidden && location.pathname === address) return;
  const body = outcomeText(summary);
  try {
    // The tag prevents duplicates from several tabs.
    const notice = new Notification(title, { body, tag: id, icon: "/icon.svg" });
    notice.onclick = () => {
      window.focus();
      navigate(address);
    };
  } catch {
    toast(`${title}: ${body}`); // Chrome on Android allows notifications only from service workers
  }
}
