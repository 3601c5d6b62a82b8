/** Data files of a pipeline, or of the user: `id` is null for the latter. */

import { addressOf, ApiError, at, FROM_APP, get, send } from "@/api/client";
import type { ChangedData, DataEntry, DataList } from "@/api/schema";
import { upload } from "@/api/upload";

/** Most entries in one answer. */
export const DATA_PAGE = 1000;

function place(id: string | null, rest: string): string {
  return id === null ? `/data${rest}` : at(id, `/data${rest}`);
}

/** The address of a file; a browser that follows it saves the file, and never shows it. */
export function dataFile(id: string | null, name: string): string {
  return addressOf(place(id, "/file"), { name });
}

/** Wait until a file can be had at once: one byte of it tells. */
export async function untilReady(address: string): Promise<void> {
  await firstBytes(address, 1);
}

/** The first bytes of a file, at most `most` of them. */
async function firstBytes(
  address: string,
  most: number,
  signal?: AbortSignal,
): Promise<ArrayBuffer> {
  try {
    const response = await send(address, {
      headers: { ...FROM_APP, Range: `bytes=0-${most - 1}` },
      ...(signal === undefined ? {} : { signal }),
    });
    return await response.arrayBuffer();
  } catch (error) {
    // An empty file has no first bytes.
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
    limit = DATA_PAGE,
  ) => get<DataList>(place(id, ""), { name, after, limit }, signal),

  /** The first bytes of a file, at most `most` of them. */
  read: (id: string | null, name: string, most: number, signal?: AbortSignal) =>
    firstBytes(dataFile(id, name), most, signal),

  /** Files of a pipeline that were written last within a time, in seconds since the epoch. */
  changed: (id: string, since: number, until: number | null, signal?: AbortSignal) =>
    get<ChangedData>(at(id, "/data/changed"), { since, until, limit: DATA_PAGE }, signal),

  /** Put a file; `onSent` hears how many bytes are on their way. */
  write: (
    id: string | null,
    name: string,
    content: Blob,
    { onSent, signal }: { onSent: (count: number) => void; signal: AbortSignal },
  ): Promise<DataEntry> => upload<DataEntry>(dataFile(id, name), content, onSent, signal),

  /** Delete a file, or a directory with what is in it. */
  async remove(id: string | null, name: string): Promise<void> {
    await send(dataFile(id, name), {
      method: "DELETE",
      headers: { ...FROM_APP, "Idempotency-Key": crypto.randomUUID() },
    });
  },
};
