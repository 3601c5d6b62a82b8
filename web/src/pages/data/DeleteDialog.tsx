import { useMutation } from "@tanstack/react-query";

import { dataApi } from "@/api/data";
import type { DataEntry } from "@/api/schema";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { toast } from "@/components/toasts";
import { baseName } from "@/model/dataFiles";
import { DATA } from "@/strings/data";

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
    <ConfirmDialog
      danger
      title={DATA.deleteTitle(label)}
      action={DATA.delete}
      disabled={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={() => onClose(false)}
    >
      <p>
        {entry.kind === "directory" ? DATA.deleteDirectoryEffect : DATA.noUndo}
        {DATA.readers}
      </p>
    </ConfirmDialog>
  );
}
