/** Commands for a person's terminal. */

import { commandLine } from "@/lib/shell";

interface DebugOptions {
  attempt?: number;
  live?: boolean;
}

/** A shell where a node ran. `live` takes the code from the person's directory. */
export function debugCommand(id: string, path: string, options: DebugOptions = {}): string {
  const verb = options.live === true ? "livedebug" : "debug";
  const attempt = options.attempt === undefined ? [] : ["--attempt", String(options.attempt)];
  return commandLine("conducto", verb, id, path, ...attempt);
}
