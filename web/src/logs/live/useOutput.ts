import { useEffect } from "react";

import { Output, type OutputLocation } from "@/logs/live/output";
import { useLive } from "@/api/stream";

/** The output of an attempt while a component shows it. */
export function useOutput(
  { id, path, attempt, stream }: OutputLocation,
  running: boolean,
): Output | null {
  const key = [id, attempt, stream, path].join(" ");
  const output = useLive(() => new Output({ id, path, attempt, stream }, running), key);
  useEffect(() => output?.setRunning(running), [output, running]);
  return output;
}
