import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { toast } from "@/components/toasts";
import { navigate, pipelineUrl } from "@/lib/location";
import { useSetting } from "@/lib/settings";
import { ended, outcome } from "@/model/notices";

const EVERY_MS = 4000;
/** Pipelines that are watched: the newest ones. */
const MOST = 200;

/** Whether the browser lets this page notify; null where it cannot at all. */
export function mayNotify(): boolean | null {
  return "Notification" in window ? Notification.permission === "granted" : null;
}

/** While the reader wants it, tell of each pipeline that comes to an end and is not looked at. */
export function useNotices(): void {
  const [wanted] = useSetting("notify");
  const on = wanted && mayNotify() === true;
  const before = useRef<readonly PipelineSummary[]>([]);
  const { data } = useQuery({
    queryKey: ["notices"],
    queryFn: ({ signal }) => api.pipelines({ lifecycle: "active", limit: MOST }, signal),
    enabled: on,
    refetchInterval: EVERY_MS,
    refetchIntervalInBackground: true,
  });
  useEffect(() => {
    if (!on || data === undefined) return;
    for (const one of ended(before.current, data.pipelines)) tell(one);
    before.current = data.pipelines;
  }, [on, data]);
}

function tell(summary: PipelineSummary): void {
  const { id, title } = summary.pipeline;
  const address = pipelineUrl(id);
  if (!document.hidden && location.pathname === address) return;
  const body = outcome(summary);
  try {
    // Several tabs tell of the same pipeline: one tag is shown once.
    const notice = new Notification(title, { body, tag: id, icon: "/icon.svg" });
    notice.onclick = () => {
      window.focus();
      navigate(address);
    };
  } catch {
    toast(`${title}: ${body}`); // some browsers allow it and have none for pages, e.g. on Android
  }
}
