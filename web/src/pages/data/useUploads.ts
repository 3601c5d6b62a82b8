import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import { messageOf } from "@/api/client";
import { dataApi } from "@/api/data";
import type { DataEntry } from "@/api/schema";
import { toast } from "@/components/toasts";
import { plural } from "@/lib/time";
import { joined } from "@/model/dataFiles";
import { entriesKey } from "@/pages/data/useEntries";

/** How far uploads are. */
export interface UploadProgress {
  /** The file that is on its way, and its number, counted from 1. */
  name: string;
  number: number;
  files: number;
  /** Bytes of all files together. */
  sent: number;
  total: number;
}

export interface Uploads {
  /** Null when nothing is under way. */
  progress: UploadProgress | null;
  /** Names of files that would be replaced, while the reader has not said yes. */
  question: readonly string[] | null;
  choose: (files: FileList) => void;
  confirm: () => void;
  cancel: () => void;
  /** End what is under way; files that arrived whole stay. */
  stop: () => void;
}

/** Putting files into a directory, one after the other; asks before it replaces any. */
export function useUploads(
  id: string | null,
  directory: string,
  entries: readonly DataEntry[],
): Uploads {
  const client = useQueryClient();
  const [progress, setProgress] = useState<UploadProgress | null>(null);
  const [asked, setAsked] = useState<{ files: File[]; names: string[] } | null>(null);
  const stopper = useRef<AbortController | null>(null);
  useEffect(() => () => stopper.current?.abort(), []);

  const put = async (files: readonly File[]) => {
    const { signal } = (stopper.current = new AbortController());
    const total = files.reduce((sum, file) => sum + file.size, 0);
    let [good, before] = [0, 0];
    for (const [index, file] of files.entries()) {
      if (signal.aborted) break;
      const show = (sent: number) =>
        setProgress({
          name: file.name,
          number: index + 1,
          files: files.length,
          sent: before + Math.min(sent, file.size),
          total,
        });
      show(0);
      try {
        await dataApi.write(id, joined(directory, file.name), file, { onSent: show, signal });
        good += 1;
      } catch (error) {
        const stopped = error instanceof DOMException && error.name === "AbortError";
        if (!stopped) toast(`${file.name}: ${messageOf(error)}`, "error");
      }
      before += file.size;
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
    stop: () => stopper.current?.abort(),
  };
}
