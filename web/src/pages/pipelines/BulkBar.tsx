import { useMutation } from "@tanstack/react-query";

import { api, messageOf } from "@/api/client";
import type { Action, PipelineSummary } from "@/api/schema";
import { plural } from "@/lib/time";
import { Button } from "@/ui/Button";
import { toast } from "@/ui/toasts";

const DONE: Partial<Record<Action, string>> = {
  sleep: "put to sleep",
  wake: "woken",
  archive: "archived",
};

interface Props {
  pipelines: readonly PipelineSummary[];
  onDone: () => void;
}

/** Orders to all chosen pipelines. */
export function BulkBar({ pipelines, onDone }: Props) {
  const order = useMutation({
    mutationFn: async (action: Action) => {
      const answers = await Promise.allSettled(
        pipelines.map((one) => api.control(one.pipeline.id, { action })),
      );
      return { action, answers };
    },
    onSuccess: ({ action, answers }) => {
      const failed = answers.filter((answer) => answer.status === "rejected");
      const good = answers.length - failed.length;
      if (good > 0) toast(`${plural(good, "pipeline")} ${DONE[action] ?? "done"}`);
      for (const answer of failed) toast(messageOf(answer.reason), "error");
      onDone();
    },
  });
  return (
    <div className="bulk" role="toolbar" aria-label="Selected pipelines">
      <strong>{plural(pipelines.length, "pipeline")} selected</strong>
      <Button disabled={order.isPending} onClick={() => order.mutate("sleep")}>
        Sleep
      </Button>
      <Button disabled={order.isPending} onClick={() => order.mutate("wake")}>
        Wake
      </Button>
      <Button disabled={order.isPending} onClick={() => order.mutate("archive")}>
        Archive
      </Button>
      <Button look="quiet" onClick={onDone}>
        Clear
      </Button>
    </div>
  );
}
