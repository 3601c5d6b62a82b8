import { useMutation, useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { ControlResult, PipelineSummary } from "@/api/schema";
import { ActionPreview, PathList } from "@/components/ActionPreview";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { toast } from "@/components/toasts";
import { fetchWholeTree } from "@/run/tree/live/wholeTree";
import { type Usage, usageOf } from "@/billing/model/usage";
import { plural } from "@/lib/time";

/** Maximum number of paths in one action. */
const MAX_PATHS = 10_000;

interface Props {
  summary: PipelineSummary;
  image: string;
  onClose: () => void;
}

/** Rebuilds an image and reruns the commands that use it, after showing them. */
export function RebuildDialog({ summary, image, onClose }: Props) {
  const { id } = summary.pipeline;
  const plan = useQuery({
    queryKey: ["image-use", id, image],
    queryFn: async ({ signal }) => {
      const usage = usageOf(image, await fetchWholeTree(id, "none", signal));
      if (usage.execs === 0 || usage.paths.length > MAX_PATHS) return { usage, preview: null };
      const request = { action: "rebuild" as const, paths: usage.paths };
      return { usage, preview: await api.control(id, { ...request, preview: true }) };
    },
    gcTime: 0,
    staleTime: 0,
  });
  const rebuild = useMutation({
    mutationFn: (paths: string[]) => api.control(id, { action: "rebuild", paths }),
    onSuccess: (result) => {
      toast(`Rebuilding ${image} and rerunning ${plural(result.affected, "command")}`);
      for (const note of result.notes) toast(note);
      onClose();
    },
  });
  const preview = plan.data?.preview ?? null;
  const paths = plan.data?.usage.paths ?? [];
  return (
    <ConfirmDialog
      title={`Rebuild ${image}?`}
      action={
        preview === null ? "Rebuild" : `Rebuild and rerun ${plural(preview.affected, "command")}`
      }
      disabled={preview === null || rebuild.isPending}
      error={plan.error ?? rebuild.error}
      onConfirm={() => rebuild.mutate(paths)}
      onClose={onClose}
    >
      {plan.isPending ? <p className="muted">Finding commands that use this image…</p> : null}
      {plan.data === undefined ? null : <Plan usage={plan.data.usage} preview={preview} />}
    </ConfirmDialog>
  );
}

function Plan({ usage, preview }: { usage: Usage; preview: ControlResult | null }) {
  if (usage.execs === 0) return <p>No command uses this image, so there is no need to build it.</p>;
  if (preview === null) {
    return <p>Too many nodes use this image. Rebuild from a group in the tree instead.</p>;
  }
  return (
    <>
      <p>The image will be rebuilt, and these nodes reset:</p>
      <PathList paths={usage.paths} total={usage.paths.length} />
      <ActionPreview preview={preview} />
    </>
  );
}
