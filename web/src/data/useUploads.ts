import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import { messageOf } from "@/api/client";
import { dataApi } from "@/data/api/data";
import type { DataEntry } from "@/api/schema";
import { toast } from "@/components/toasts";
import { plural } from "@/lib/time";
import { joined } from "@/data/model/dataFiles";
import { entriesKey } from "@/data/useEntries";

export interface UploadProgress {
  /** The current file and its number, counted from 1. */
  name: string;
  number: number;
  files: number;
  /** Bytes of all files. */
  sent: number;
  total: number;
}

export interface Uploads {
  /** Null if there is no upload. */
  progress: UploadProgress | null;
  /** Names of existing files, until the user confirms to replace them. */
  question: readonly string[] | null;
  choose: (files: FileList) => void;
  confirm: () => void;
  cancel: () => void;
  /** Cancel the uploads; completed files are kept. */
  stop: () => void;
}

/** Uploads files to a directory one by one, asking before it replaces any. */
export function useUploads(
  id: string | null,
  directory: string,
  entries: readonly DataEntry[],
): Uploads {
  const client = useQueryClient();
  const [progress, setProgress] = useState<UploadProgress | null>(null);
  const [question, setQuestion] = useState<{ files: File[]; names: string[] } | null>(null);
  const stopper = useRef<AbortController | null>(null);
  useEffect(() => () => stopper.current?.abort(), []);

  const uploadAll = async (files: readonly File[]) => {
    const { signal } = (stopper.current = new AbortController());
    const total = files.reduce((sum, file) => sum + file.size, 0);
    let [uploaded, before] = [0, 0];
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
        uploaded += 1;
      } catch (error) {
        const stopped = error instanceof DOMException && error.name === "AbortError";
        if (!stopped) toast(`${file.name}: ${messageOf(error)}`, "error");
      }
      before += file.size;
    }
    setProgress(null);
    if (uploaded > 0) toast(`Uploaded ${plural(uploaded, "file")}`);
    await client.invalidateQueries({ queryKey: entriesKey(id, directory) });
    await client.invalidateQueries({ queryKey: ["data-preview", id] });
  };

  return {
    progress,
    question: question?.names ?? null,
    choose: (list) => {
      const files = [...list];
      if (files.length === 0 || progress !== null) return;
      const existing = new Set(entries.map((entry) => entry.name));
      const names = files
        .map((file) => file.name)
        .filter((name) => existing.has(joined(directory, name)));
      if (names.length > 0) setQuestion({ files, names });
      else void uploadAll(files);
    },
    confirm: () => {
      const files = question?.files ?? [];
      setQuestion(null);
      void uploadAll(files);
    },
    cancel: () => setQuestion(null),
    stop: () => stopper.current?.abort(),
  };
}
