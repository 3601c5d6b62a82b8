import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { messageOf } from "@/api/client";
import { dataApi } from "@/api/data";
import type { DataEntry } from "@/api/schema";
import { plural } from "@/lib/time";
import { joined } from "@/model/dataFiles";
import { entriesKey } from "@/pages/data/useEntries";
import { toast } from "@/ui/toasts";

export interface Uploads {
  /** What is under way, in a few words; null when nothing is. */
  progress: string | null;
  /** Names of files that would be replaced, while the reader has not said yes. */
  question: readonly string[] | null;
  choose: (files: FileList) => void;
  confirm: () => void;
  cancel: () => void;
}

/** Putting files into a directory, one after the other; asks before it replaces any. */
export function useUploads(
  id: string | null,
  directory: string,
  entries: readonly DataEntry[],
): Uploads {
  const client = useQueryClient();
  const [progress, setProgress] = useState<string | null>(null);
  const [asked, setAsked] = useState<{ files: File[]; names: string[] } | null>(null);

  const put = async (files: readonly File[]) => {
    let good = 0;
    for (const [index, file] of files.entries()) {
      setProgress(`Uploading ${index + 1} of ${files.length}…`);
      try {
        await dataApi.write(id, joined(directory, file.name), file);
        good += 1;
      } catch (error) {
        toast(`${file.name}: ${messageOf(error)}`, "error");
      }
    }
    setProgress(null);
    if (good > 0) toast(`Uploaded ${plural(good, "file")}`);
    await client.invalidateQueries({ queryKey: entriesKey(id, directory) });
    await client.invalidateQueries({ queryKey: ["data-preview", id] });
  };

  return {
    progress,
    question: asked?.names ?? null,
    choose: (list) => {
      const files = [...list];
      if (files.length === 0 || progress !== null) return;
      const there = new Set(entries.map((entry) => entry.name));
      const names = files
        .map((file) => file.name)
        .filter((name) => there.has(joined(directory, name)));
      if (names.length > 0) setAsked({ files, names });
      else void put(files);
    },
    confirm: () => {
      const files = asked?.files ?? [];
      setAsked(null);
      void put(files);
    },
    cancel: () => setAsked(null),
  };
}
