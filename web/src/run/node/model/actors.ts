/** The people and assistants whose requests started the attempts of a command. */

import type { AttemptRecord, AuditEntry } from "@/api/schema";
import { isWithin } from "@/run/model/paths";

export interface Actor {
  user: string;
  /** The program of an assistant, as it names itself; null for the person. */
  assistant: string | null;
}

/** An attempt may be recorded this many seconds before the request that started it. */
const TOLERANCE = 1;

/**
 * `{number: actor}` of the attempts that follow a request. Attempts have no actor of their own, so
 * it is the newest request on the command since the attempt before it.
 */
export function actorsOf(
  attempts: readonly AttemptRecord[],
  entries: readonly AuditEntry[],
  pipeline: string,
): ReadonlyMap<number, Actor> {
  const found = new Map<number, Actor>();
  for (const [at, attempt] of attempts.entries()) {
    const before = attempts[at - 1];
    const from = before?.started ?? before?.queued;
    const to = attempt.queued ?? attempt.started;
    if (from == null || to === null) continue;
    const request = entries
      .filter(
        ({ subject, operation, time, paths }) =>
          subject === pipeline &&
          operation === "control" &&
          time > from &&
          time <= to + TOLERANCE &&
          (paths.length === 0 || paths.some((path) => isWithin(attempt.path, path))),
      )
      .toSorted((one, other) => other.time - one.time)[0];
    if (request === undefined) continue;
    const { user, client, scopes } = request;
    const isAssistant = client !== "" || scopes.length > 0;
    found.set(attempt.number, { user, assistant: isAssistant ? client || "an assistant" : null });
  }
  return found;
}
