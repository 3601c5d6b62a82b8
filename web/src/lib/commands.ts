/** CLI commands that users copy. */

import { commandLine } from "@/lib/shell";

interface DebugOptions {
  attempt?: number;
  live?: boolean;
  remote?: boolean;
  snapshot?: boolean;
}

/**
 * The command for a debug shell. `live` mounts the local code, `remote` runs in the cloud,
 * `snapshot` restores the files of the failed attempt.
 */
export function debugCommand(id: string, path: string, options: DebugOptions = {}): string {
  const verb = options.live === true ? "livedebug" : "debug";
  const attempt = options.attempt === undefined ? [] : ["--attempt", String(options.attempt)];
  const remote = options.remote === true ? ["--remote"] : [];
  const snapshot = options.snapshot === true ? ["--snapshot"] : [];
  return commandLine("conducto", verb, id, path, ...attempt, ...remote, ...snapshot);
}
