/** The way to a debug shell: a ticket, then a WebSocket of its own. */

import { addressOf, at, messageOf, post } from "@/api/client";
import type { ShellEnd, ShellTicket } from "@/api/schema";
import { frames, Meter, type ShellState } from "@/model/shell";

/** Which shell. */
export interface ShellPlace {
  id: string;
  path: string;
  /** Null is the newest. */
  attempt: number | null;
  /** With the files as the command left them. */
  snapshot: boolean;
}

export interface ShellSize {
  lines: number;
  columns: number;
}

export interface ShellOwner {
  onState: (state: ShellState) => void;
  /** The shell can be opened: what it is like, and what a person should know before typing. */
  onTicket: (ticket: ShellTicket) => void;
  /** Show output; `done` once it is shown. */
  onOutput: (data: Uint8Array, done: () => void) => void;
}

export class ShellLink {
  private socket: WebSocket | null = null;
  private closed = false;
  private end: ShellEnd | null = null;
  private opened = false;
  private readonly meter = new Meter();

  constructor(
    place: ShellPlace,
    private size: ShellSize,
    private readonly owner: ShellOwner,
  ) {
    void this.open(place);
  }

  /** End the shell, if it has not ended. */
  close(): void {
    this.closed = true;
    this.socket?.close();
  }

  type(data: Uint8Array): void {
    for (const frame of frames(data)) this.send(frame);
  }

  resize(size: ShellSize): void {
    this.size = size;
    this.send(JSON.stringify(size));
  }

  private async open({ id, path, attempt, snapshot }: ShellPlace): Promise<void> {
    let ticket: ShellTicket;
    try {
      ticket = await post<ShellTicket>(at(id, "/shell"), { path, attempt, snapshot });
    } catch (error) {
      if (!this.closed) this.owner.onState({ kind: "refused", message: messageOf(error) });
      return;
    }
    if (this.closed) return;
    this.owner.onTicket(ticket);
    this.connect(ticket.ticket);
  }

  private connect(ticket: string): void {
    const address = new URL(addressOf("/shell", { ticket, ...this.size }), location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address, "conducto.v1");
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = (message: MessageEvent<ArrayBuffer | string>) => this.take(message.data);
    socket.onclose = () => {
      if (!this.closed) this.owner.onState({ kind: "ended", end: this.end });
    };
  }

  private take(data: ArrayBuffer | string): void {
    if (this.closed) return;
    if (typeof data === "string") {
      this.end = JSON.parse(data) as ShellEnd;
      return;
    }
    if (!this.opened) {
      this.opened = true;
      this.owner.onState({ kind: "open" });
    }
    this.owner.onOutput(new Uint8Array(data), () => {
      const taken = this.meter.add(data.byteLength);
      if (taken !== null) this.send(JSON.stringify({ taken }));
    });
  }

  private send(message: string | Uint8Array): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
  }
}
