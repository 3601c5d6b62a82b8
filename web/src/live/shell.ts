/** A connection to a debug shell: a ticket, then a WebSocket. */

import { apiUrl, messageOf, pipelinePath, post } from "@/api/client";
import type { ShellEnd, ShellTicket } from "@/api/schema";
import { FlowControl, frames, type ShellState } from "@/model/shell";

export interface ShellTarget {
  id: string;
  path: string;
  /** Null for the newest. */
  attempt: number | null;
  /** Whether to restore the files of the failed attempt. */
  snapshot: boolean;
}

export interface ShellSize {
  lines: number;
  columns: number;
}

export interface ShellHandler {
  onState: (state: ShellState) => void;
  /** The shell can be opened; the ticket has notes for the user. */
  onTicket: (ticket: ShellTicket) => void;
  /** Show output, then call `done`. */
  onOutput: (data: Uint8Array, done: () => void) => void;
}

export class ShellLink {
  private socket: WebSocket | null = null;
  private closed = false;
  private end: ShellEnd | null = null;
  private isOpen = false;
  private readonly flowControl = new FlowControl();

  constructor(
    place: ShellTarget,
    private size: ShellSize,
    private readonly handler: ShellHandler,
  ) {
    void this.open(place);
  }

  close(): void {
    this.closed = true;
    this.socket?.close();
  }

  write(data: Uint8Array): void {
    for (const frame of frames(data)) this.send(frame);
  }

  resize(size: ShellSize): void {
    this.size = size;
    this.send(JSON.stringify(size));
  }

  private async open({ id, path, attempt, snapshot }: ShellTarget): Promise<void> {
    let ticket: ShellTicket;
    try {
      ticket = await post<ShellTicket>(pipelinePath(id, "/shell"), { path, attempt, snapshot });
    } catch (error) {
      if (!this.closed) this.handler.onState({ kind: "refused", message: messageOf(error) });
      return;
    }
    if (this.closed) return;
    this.handler.onTicket(ticket);
    this.connect(ticket.ticket);
  }

  private connect(ticket: string): void {
    const address = new URL(apiUrl("/shell", { ticket, ...this.size }), location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address, "conducto.v1");
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = (message: MessageEvent<ArrayBuffer | string>) => this.receive(message.data);
    socket.onclose = () => {
      if (!this.closed) this.handler.onState({ kind: "ended", end: this.end });
    };
  }

  private receive(data: ArrayBuffer | string): void {
    if (this.closed) return;
    if (typeof data === "string") {
      this.end = JSON.parse(data) as ShellEnd;
      return;
    }
    if (!this.isOpen) {
      this.isOpen = true;
      this.handler.onState({ kind: "open" });
    }
    this.handler.onOutput(new Uint8Array(data), () => {
      const taken = this.flowControl.add(data.byteLength);
      if (taken !== null) this.send(JSON.stringify({ taken }));
    });
  }

  private send(message: string | Uint8Array): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
  }
}
