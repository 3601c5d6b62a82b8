/**
 * The terminal protocol of debug shells (`conducto_core.debug.terminal`): what this client does with
 * its numbered messages through the cloud. `tests/golden/terminal.json` has the same steps.
 */

import type { RelayedShellInput, ShellNote } from "@/api/schema";
import { encodeBase64 } from "@/lib/base64";

/** Interval of messages that keep an idle connection open. */
export const KEEP_ALIVE_SECONDS = 240;
/** Maximum bytes of input in a message, and messages without an acknowledgement. */
export const MAX_INPUT = 16 << 10;
export const MAX_UNACKED = 4;
/** Number of bytes of output between acknowledgements: an eighth of the server's limit. */
export const ACKNOWLEDGE_BYTES = 32 << 10;

type Optional = "b64" | "note";
export type InputMessage = Omit<RelayedShellInput, Optional> & {
  b64?: string;
  note?: Partial<ShellNote>;
};

/** Numbers the input, and joins it while the cloud is behind: it handles messages concurrently. */
export class TerminalInput {
  private typed: Uint8Array[] = [];
  private notes: Partial<ShellNote> = {};
  private sent = 0;
  private unacknowledged = 0;
  private isOpen = false;

  constructor(private readonly send: (message: InputMessage) => void) {}

  /** The agent has received the ticket. */
  start(): void {
    this.isOpen = true;
    this.flush();
  }

  type(data: Uint8Array): void {
    if (data.length > 0) this.typed.push(data);
    this.flush();
  }

  /** Later notes replace earlier ones. */
  note(note: Partial<ShellNote>): void {
    this.notes = { ...this.notes, ...note };
    this.flush();
  }

  acknowledge(): void {
    this.unacknowledged -= 1;
    this.flush();
  }

  /** Send a message without content if nothing else is under way. */
  keepAlive(): void {
    if (this.isOpen && this.unacknowledged === 0) this.post({});
  }

  private flush(): void {
    while (this.isOpen && this.unacknowledged < MAX_UNACKED) {
      const data = this.next();
      const hasNotes = Object.keys(this.notes).length > 0;
      if (data.length === 0 && !hasNotes) return;
      this.post({
        ...(data.length === 0 ? {} : { b64: encodeBase64(data) }),
        ...(hasNotes ? { note: this.notes } : {}),
      });
      this.notes = {};
    }
  }

  /** Remove and return the next input. */
  private next(): Uint8Array {
    const all = new Uint8Array(this.typed.reduce((size, data) => size + data.length, 0));
    let at = 0;
    for (const data of this.typed) {
      all.set(data, at);
      at += data.length;
    }
    const rest = all.subarray(MAX_INPUT);
    this.typed = rest.length === 0 ? [] : [rest];
    return all.subarray(0, MAX_INPUT);
  }

  private post(content: Pick<InputMessage, Optional>): void {
    this.sent += 1;
    this.unacknowledged += 1;
    this.send({ terminal: "input", seq: this.sent, ...content });
  }
}

/** The received output: counts it, and ignores what arrives again after the agent has reconnected. */
export class TerminalOutput {
  private next = 0;
  private processed = 0;
  private acknowledged = 0;

  isNew(seq: number): boolean {
    if (seq < this.next) return false;
    this.next = seq + 1;
    return true;
  }

  /** Count processed bytes. Returns the total to acknowledge, or null; the server waits for it. */
  add(count: number): number | null {
    this.processed += count;
    if (this.processed - this.acknowledged < ACKNOWLEDGE_BYTES) return null;
    this.acknowledged = this.processed;
    return this.processed;
  }
}
