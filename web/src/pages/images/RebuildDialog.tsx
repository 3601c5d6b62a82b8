import { useMutation, useQuery } from "@tanstack/react-query";

import { api, messageOf } from "@/api/client";
import type { ControlResult } from "@/api/schema";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { KilledNote } from "@/components/KilledNote";
import { toast } from "@/components/toasts";
import { plural } from "@/lib/time";
import { fetchWholeTree } from "@/live/wholeTree";
import { type Usage, usageOf } from "@/model/usage";

/** Maximum number of paths in one action. */
const MAX_PATHS = 10_000;
const MAX_SHOWN = 6;

interface Props {
  id: string;
  image: string;
  onClose: () => void;
}

/** Rebuilds an image and reruns the commands that use it, after showing them. */
export function RebuildDialog({ id, image, onClose }: Props) {
  const plan = useQuery({
    queryKey: ["image-use", id, image],
    queryFn: async ({ signal }) => {
      const usage = usageOf(image, (await fetchWholeTree(id, "none", signal)).nodes);
      if (usage.execs === 0 || usage.paths.length > MAX_PATHS) return { usage, preview: null };
      const order = { action: "rebuild" as const, paths: usage.paths };
      return { usage, preview: await api.control(id, { ...order, preview: true }) };
    },
    gcTime: 0,
    staleTime: 0,
  });
  const rebuild = useMutation({
    mutationFn: (paths: string[]) => api.control(id, { action: "rebuild", paths }),
    onSuccess: (result) => {
      toast(`Rebuilding ${image} and resetting ${plural(result.affected, "command")}`);
      for (const note of result.notes) toast(note);
      onClose();
    },
    onError: (error) => toast(messageOf(error), "error"),
  });
  const preview = plan.data?.preview ?? null;
  const paths = plan.data?.usage.paths ?? [];
  return (
    <Dialog
      title={`Rebuild ${image}?`}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            variant="main"
            disabled={preview === null || rebuild.isPending}
            onClick={() => rebuild.mutate(paths)}
          >
            {preview === null
              ? "Rebuild"
              : `Rebuild and reset ${plural(preview.affected, "command")}`}
          </Button>
        </>
      }
    >
      {plan.error === null ? null : (
        <p className="form-error" role="alert">
          {messageOf(plan.error)}
        </p>
      )}
      {plan.isPending ? <p className="muted">Finding commands that use this image…</p> : null}
      {plan.data === undefined ? null : <Plan usage={plan.data.usage} preview={preview} />}
    </Dialog>
  );
}

function Plan({ usage, preview }: { usage: Usage; preview: ControlResult | null }) {
  if (usage.execs === 0) return <p>No command uses this image, so there is no need to build it.</p>;
  if (preview === null) {
    return <p>Too many nodes use this image. Rebuild from a group in the tree instead.</p>;
  }
  const rest = usage.paths.length - MAX_SHOWN;
  return (
    <>
      <p>The image will be rebuilt, and these nodes reset:</p>
      <ul className="consent-paths mono">
        {usage.paths.slice(0, MAX_SHOWN).map((path) => (
          <li key={path}>{path}</li>
        ))}
        {rest > 0 ? <li className="muted">and {rest.toLocaleString("en")} more</li> : null}
      </ul>
      <KilledNote count={preview.stopped} />
      {preview.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </>
  );
}
