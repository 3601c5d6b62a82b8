import { useMutation } from "@tanstack/react-query";

import { messageOf } from "@/api/client";
import { dataApi } from "@/api/data";
import type { DataEntry } from "@/api/schema";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { toast } from "@/components/toasts";
import { baseName } from "@/model/dataFiles";

interface Props {
  id: string | null;
  entry: DataEntry;
  /** `done`: the entry was deleted. */
  onClose: (done: boolean) => void;
}

export function DeleteDialog({ id, entry, onClose }: Props) {
  const label = baseName(entry.name);
  const remove = useMutation({
    mutationFn: () => dataApi.remove(id, entry.name),
    onSuccess: () => {
      toast(`Deleted ${label}`);
      onClose(true);
    },
  });
  return (
    <Dialog
      title={`Delete ${label}?`}
      onClose={() => onClose(false)}
      footer={
        <>
          <Button autoFocus onClick={() => onClose(false)}>
            Cancel
          </Button>
          <Button variant="danger" disabled={remove.isPending} onClick={() => remove.mutate()}>
            Delete
          </Button>
        </>
      }
    >
      <p>
        {entry.kind === "directory"
          ? "This deletes the directory and everything in it. You cannot undo this."
          : "You cannot undo this."}{" "}
        Commands that read it will fail to find it.
      </p>
      {remove.error === null ? null : (
        <p className="form-error" role="alert">
          {messageOf(remove.error)}
        </p>
      )}
    </Dialog>
  );
}
