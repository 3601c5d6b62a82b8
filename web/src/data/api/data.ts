/** Data files of a pipeline, or of the user if `id` is null. */

import { ApiError, apiUrl, FROM_APP, get, pipelinePath, send, sendOnce } from "@/api/client";
import type { ChangedData, DataEntry, DataList } from "@/api/schema";
import { upload } from "@/data/api/upload";

/** Maximum number of entries per page. */
export const PAGE_SIZE = 1000;

function dataPath(id: string | null, rest: string): string {
  return id === null ? `/data${rest}` : pipelinePath(id, `/data${rest}`);
}

/** The download URL of a file. */
export function dataFileUrl(id: string | null, name: string): string {
  return apiUrl(dataPath(id, "/file"), { name });
}

/** Wait until a file can be downloaded, by requesting its first byte. */
export async function waitUntilReady(address: string): Promise<void> {
  await firstBytes(address, 1);
}

/** Read up to `max` bytes from the start of a file. */
async function firstBytes(
  address: string,
  max: number,
  signal?: AbortSignal,
): Promise<ArrayBuffer> {
  try {
    const response = await send(address, {
      headers: { ...FROM_APP, Range: `bytes=0-${max - 1}` },
      ...(signal === undefined ? {} : { signal }),
    });
    return await response.arrayBuffer();
  } catch (error) {
    // An empty file has no valid range.
    if (error instanceof ApiError && error.status === 416) return new ArrayBuffer(0);
    throw error;
  }
}

export const dataApi = {
  list: (
    id: string | null,
    name: string,
    after: string | null,
    signal?: AbortSignal,
    limit = PAGE_SIZE,
  ) => get<DataList>(dataPath(id, ""), { name, after, limit }, signal),

  /** Read up to `max` bytes from the start of a file. */
  read: (id: string | null, name: string, max: number, signal?: AbortSignal) =>
    firstBytes(dataFileUrl(id, name), max, signal),

  /** List files last modified between two times, in seconds since the epoch. */
  changed: (id: string, since: number, until: number | null, signal?: AbortSignal) =>
    get<ChangedData>(pipelinePath(id, "/data/changed"), { since, until, limit: PAGE_SIZE }, signal),

  /** Upload a file. `onSent` receives the number of bytes sent so far. */
  write: (
    id: string | null,
    name: string,
    content: Blob,
    { onSent, signal }: { onSent: (count: number) => void; signal: AbortSignal },
  ): Promise<DataEntry> => upload<DataEntry>(dataFileUrl(id, name), content, onSent, signal),

  /** Delete a file, or a directory and its contents. */
  async remove(id: string | null, name: string): Promise<void> {
    await sendOnce(dataFileUrl(id, name), { method: "DELETE" });
  },
};
