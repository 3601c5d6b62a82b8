/**
 * The server's sentences also tell users of a terminal which command to enter. The page has buttons
 * for these actions, so it leaves out the clauses with a command.
 */

/** The server's reason for nodes of a paused pipeline. */
const NOT_RUNNING = "not running";
const CLAUSE = /;\s+/;
const COMMAND = /\bconducto [a-z]/;

/** `nothing to run: it is done; rerun all: conducto rerun abc /` → `nothing to run: it is done`. */
export function withoutCommand(text: string): string {
  const clauses = text.split(CLAUSE).filter((clause) => !COMMAND.test(clause));
  const rest = clauses.length === 0 ? text : clauses.join("; ");
  return rest === NOT_RUNNING ? "the pipeline is paused" : rest;
}
