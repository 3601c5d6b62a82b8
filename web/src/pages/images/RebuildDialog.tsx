import { useMutation, useQuery } from "@tanstack/react-query";

import { api, messageOf } from "@/api/client";
import type { ControlResult } from "@/api/schema";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { toast } from "@/components/toasts";
import { plural } from "@/lib/time";
import { fetchWholeTree } from "@/live/wholeTree";
import { type Usage, usageOf } from "@/model/usage";

/** Paths that one order may name. */
const MOST_PATHS = 10_000;
const SHOWN = 6;

interface Props {
  id: string;
  image: string;
  onClose: () => void;
}

/** Build an image anew, and run again what uses it: first what that would touch. */
export function RebuildDialog({ id, image, onClose }: Props) {
  const plan = useQuery({
    queryKey: ["image-use", id, image],
    queryFn: async ({ signal }) => {
      const usage = usageOf(image, (await fetchWholeTree(id, "none", signal)).nodes);
      if (usage.execs === 0 || usage.paths.length > MOST_PATHS) return { usage, preview: null };
      const order = { action: "rebuild" as const, paths: usage.paths };
      return { usage, preview: await api.control(id, { ...order, preview: true }) };
    },
    gcTime: 0,
    staleTime: 0,
  });
  const rebuild = useMutation({
    mutationFn: (paths: string[]) => api.control(id, { action: "rebuild", paths }),
    onSuccess: (result) => {
      toast(`Building ${image} anew, and resetting ${plural(result.affected, "Exec")}`);
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
            look="main"
            disabled={preview === null || rebuild.isPending}
            onClick={() => rebuild.mutate(paths)}
          >
            {preview === null ? "Rebuild" : `Rebuild and reset ${plural(preview.affected, "Exec")}`}
          </Button>
        </>
      }
    >
      {plan.error === null ? null : (
        <p className="form-error" role="alert">
          {messageOf(plan.error)}
        </p>
      )}
      {plan.isPending ? <p className="muted">Looking up what uses it…</p> : null}
      {plan.data === undefined ? null : <Plan usage={plan.data.usage} preview={preview} />}
    </Dialog>
  );
}

function Plan({ usage, preview }: { usage: Usage; preview: ControlResult | null }) {
  if (usage.execs === 0) return <p>No Exec uses it, so there is nothing to build it for.</p>;
  if (preview === null) {
    return <p>Too many nodes use it to reset them at once; rebuild from a group in the tree.</p>;
  }
  const rest = usage.paths.length - SHOWN;
  return (
    <>
      <p>The image is built from its definition again, and what uses it is reset:</p>
      <ul className="consent-paths mono">
        {usage.paths.slice(0, SHOWN).map((path) => (
          <li key={path}>{path}</li>
        ))}
        {rest > 0 ? <li className="muted">and {rest.toLocaleString("en")} more</li> : null}
      </ul>
      {preview.stopped > 0 ? (
        <p className="state-killed">
          {plural(preview.stopped, "Exec")} of them {preview.stopped === 1 ? "runs" : "run"} now and
          will be ended.
        </p>
      ) : null}
      {preview.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </>
  );
}
