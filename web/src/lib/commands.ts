/** Commands for a person's terminal. */

import { commandLine } from "@/lib/shell";

interface DebugOptions {
  attempt?: number;
  live?: boolean;
  remote?: boolean;
  snapshot?: boolean;
}

/**
 * A shell where a node ran. `live` takes the code from the person's directory, `remote` opens it on
 * a worker of the cloud, `snapshot` takes the files as the failed command left them.
 */
export function debugCommand(id: string, path: string, options: DebugOptions = {}): string {
  const verb = options.live === true ? "livedebug" : "debug";
  const attempt = options.attempt === undefined ? [] : ["--attempt", String(options.attempt)];
  const remote = options.remote === true ? ["--remote"] : [];
  const snapshot = options.snapshot === true ? ["--snapshot"] : [];
  return commandLine("conducto", verb, id, path, ...attempt, ...remote, ...snapshot);
}
