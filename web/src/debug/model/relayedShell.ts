/** The messages of a debug shell on the machine of a linked agent, through the cloud. */

import type { ShellEnd } from "@/api/schema";
import { encodeBase64 } from "@/lib/base64";

/** The first message, without its kind. */
export interface RelayedOpening {
  agent: string;
  pipeline: string;
  path: string;
  params: ShellParams;
}

export interface ShellParams {
  ticket: string;
  lines: number;
  columns: number;
}

export interface ShellNote {
  lines: number;
  columns: number;
  taken: number;
}

export interface RelayedFrame {
  terminal: "opened" | "acked" | "output" | "ended";
  seq: number;
  b64: string;
  end: ShellEnd | null;
}

export interface RelayedMessage {
  terminal: "input";
  seq: number;
  b64?: string;
  note?: Partial<ShellNote>;
}

/** Interval of messages that keep an idle connection open: API Gateway ends it after ten minutes. */
export const KEEP_ALIVE_MS = 240_000;
/** Maximum bytes of input in a message, and messages without an acknowledgement. */
export const MAX_INPUT = 16 << 10;
export const MAX_UNACKED = 4;

/** Numbers the input, and joins it while the cloud is behind: it handles messages concurrently. */
export class RelayedInput {
  private typed: Uint8Array[] = [];
  private notes: Partial<ShellNote> = {};
  private sent = 0;
  private unacknowledged = 0;
  private isOpen = false;

  constructor(private readonly send: (message: RelayedMessage) => void) {}

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

  private post(content: Omit<RelayedMessage, "terminal" | "seq">): void {
    this.sent += 1;
    this.unacknowledged += 1;
    this.send({ terminal: "input", seq: this.sent, ...content });
  }
}

/** Ignores output that arrives again after the agent has connected again. */
export class RelayedOutput {
  private next = 0;

  isNew(seq: number): boolean {
    if (seq < this.next) return false;
    this.next = seq + 1;
    return true;
  }
}
