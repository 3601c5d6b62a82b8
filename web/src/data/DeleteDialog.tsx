import { dataApi } from "@/data/api/data";
import type { DataEntry } from "@/api/schema";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { baseName } from "@/data/model/dataFiles";
import { DATA } from "@/data/texts/data";

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
      title={DATA.deleteTitle(label)}
      action={DATA.delete}
      request={() => dataApi.remove(id, entry.name)}
      onDone={() => {
        toast(`Deleted ${label}`);
        onClose(true);
      }}
      onClose={() => onClose(false)}
    >
      <p>
        {entry.kind === "directory" ? DATA.deleteDirectoryEffect : DATA.noUndo}
        {DATA.readers}
      </p>
    </RequestDialog>
  );
}
