import { dataApi } from "@/data/api/data";
import type { DataEntry } from "@/api/schema";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { baseName } from "@/data/model/dataFiles";

interface Props {
  id: string | null;
  entry: DataEntry;
  /** `done`: the entry was deleted. */
  onClose: (done: boolean) => void;
}

export function DeleteDialog({ id, entry, onClose }: Props) {
  const label = baseName(entry.name);
  return (
    <RequestDialog
      danger
      title={`Delete ${label}?`}
      action="Delete"
      request={() => dataApi.remove(id, entry.name)}
      onDone={() => {
        toast(`Deleted ${label}`);
        onClose(true);
      }}
      onClose={() => onClose(false)}
    >
      <p>
        {entry.kind === "directory"
          ? "This deletes the directory and everything in it. You cannot undo this."
          : "You cannot undo this."}{" "}
        Commands that read it will fail to find it.
      </p>
    </RequestDialog>
  );
}
