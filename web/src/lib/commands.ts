/** Commands for a person's terminal. */

import { commandLine } from "@/lib/shell";

interface DebugOptions {
  attempt?: number;
  live?: boolean;
  snapshot?: boolean;
}

/**
 * A shell where a node ran. `live` takes the code from the person's directory, `snapshot` the files
 * as the failed command left them.
 */
export function debugCommand(id: string, path: string, options: DebugOptions = {}): string {
  const verb = options.live === true ? "livedebug" : "debug";
  const attempt = options.attempt === undefined ? [] : ["--attempt", String(options.attempt)];
  const snapshot = options.snapshot === true ? ["--snapshot"] : [];
  return commandLine("conducto", verb, id, path, ...attempt, ...snapshot);
}
