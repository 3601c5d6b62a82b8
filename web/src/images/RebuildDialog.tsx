import { useMutation, useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { ControlResult, PipelineSummary } from "@/api/schema";
import { ActionPreview, PathList } from "@/components/ActionPreview";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { toast } from "@/components/toasts";
import { fetchWholeTree } from "@/run/tree/live/wholeTree";
import { type Usage, usageOf } from "@/billing/model/usage";
import { executeAction, othersStarted } from "@/run/actions/useActions";
import { ACTIONS } from "@/app/texts";
import { IMAGES, IMAGE_PAGE } from "@/images/texts/images";

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
  const target = { id, summary: () => summary, isSkipped: () => false };
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
    mutationFn: (paths: string[]) => executeAction(target, { action: "rebuild", paths }),
    onSuccess: (result) => {
      toast(IMAGES.rebuilding(image, result.affected));
      for (const note of result.notes) toast(note);
      onClose();
    },
  });
  const preview = plan.data?.preview ?? null;
  const others = othersStarted(target);
  const paths = plan.data?.usage.paths ?? [];
  return (
    <ConfirmDialog
      title={IMAGE_PAGE.rebuildTitle(image)}
      action={preview === null ? IMAGE_PAGE.rebuild : IMAGES.rebuildAndRerun(preview.affected)}
      disabled={preview === null || rebuild.isPending}
      error={plan.error ?? rebuild.error}
      onConfirm={() => rebuild.mutate(paths)}
      onClose={onClose}
    >
      {plan.isPending ? <p className="muted">{IMAGE_PAGE.finding}</p> : null}
      {plan.data === undefined ? null : <Plan usage={plan.data.usage} preview={preview} />}
      {others === 0 ? null : <p>{ACTIONS.othersRun(others)}</p>}
    </ConfirmDialog>
  );
}

function Plan({ usage, preview }: { usage: Usage; preview: ControlResult | null }) {
  if (usage.execs === 0) return <p>{IMAGE_PAGE.noUser}</p>;
  if (preview === null) {
    return <p>{IMAGE_PAGE.tooManyUsers}</p>;
  }
  return (
    <>
      <p>{IMAGE_PAGE.rebuildEffect}</p>
      <PathList paths={usage.paths} total={usage.paths.length} />
      <ActionPreview preview={preview} />
    </>
  );
}
