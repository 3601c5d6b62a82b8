/** A connection to a debug shell: a ticket, then a WebSocket. */

import { apiUrl, messageOf, pipelinePath, post } from "@/api/client";
import type {
  OpenRelayedShell,
  RelayedShellFrame,
  ShellEnd,
  ShellNote,
  ShellParams,
  ShellTicket,
} from "@/api/schema";
import { decodeBase64 } from "@/lib/base64";
import { parseReference } from "@/lib/references";
import { KEEP_ALIVE_SECONDS, TerminalInput, TerminalOutput } from "@/debug/model/terminal";
import { frames, type ShellState } from "@/debug/model/shell";

/** The WebSocket of an installation. */
const CLOUD_PATH = "/socket";

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

/** A WebSocket to a shell: to the server itself, or through the cloud to a linked agent. */
interface ShellSocket {
  type: (data: Uint8Array) => void;
  note: (note: Partial<ShellNote>) => void;
  close: () => void;
}

interface SocketHandler {
  onOutput: (data: Uint8Array) => void;
  onEnd: (end: ShellEnd) => void;
  onClose: () => void;
}

export class ShellLink {
  private socket: ShellSocket | null = null;
  private closed = false;
  private end: ShellEnd | null = null;
  private isOpen = false;
  private readonly output = new TerminalOutput();

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
    this.socket?.type(data);
  }

  resize(size: ShellSize): void {
    this.size = size;
    this.socket?.note(size);
  }

  private async open(place: ShellTarget): Promise<void> {
    const { id, path, attempt, snapshot } = place;
    let ticket: ShellTicket;
    try {
      ticket = await post<ShellTicket>(pipelinePath(id, "/shell"), { path, attempt, snapshot });
    } catch (error) {
      if (!this.closed) this.handler.onState({ kind: "refused", message: messageOf(error) });
      return;
    }
    if (this.closed) return;
    this.handler.onTicket(ticket);
    this.connect(place, ticket.ticket);
  }

  private connect({ id, path }: ShellTarget, ticket: string): void {
    const { agent, id: pipeline } = parseReference(id);
    const params = { ticket, ...this.size };
    const handler: SocketHandler = {
      onOutput: (data) => this.show(data),
      onEnd: (end) => {
        this.end = end;
      },
      onClose: () => {
        if (!this.closed) this.handler.onState({ kind: "ended", end: this.end });
      },
    };
    this.socket =
      agent === null
        ? directSocket(params, handler)
        : relayedSocket({ terminal: "open", agent, pipeline, path, params }, handler);
  }

  private show(data: Uint8Array): void {
    if (this.closed) return;
    if (!this.isOpen) {
      this.isOpen = true;
      this.handler.onState({ kind: "open" });
    }
    this.handler.onOutput(data, () => {
      const taken = this.output.add(data.byteLength);
      if (taken !== null) this.socket?.note({ taken });
    });
  }
}

function socketTo(path: string): WebSocket {
  const address = new URL(path, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  return new WebSocket(address, "conducto.v1");
}

/** The socket of this server: binary frames are input and output, text frames are records. */
function directSocket(params: ShellParams, handler: SocketHandler): ShellSocket {
  const socket = socketTo(apiUrl("/shell", { ...params }));
  const send = (message: string | Uint8Array) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(message);
  };
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (typeof data === "string") handler.onEnd(JSON.parse(data) as ShellEnd);
    else handler.onOutput(new Uint8Array(data));
  };
  socket.onclose = handler.onClose;
  return {
    type: (data) => {
      for (const frame of frames(data)) send(frame);
    },
    note: (note) => send(JSON.stringify(note)),
    close: () => socket.close(),
  };
}

/** The socket of an installation: numbered texts, of which few wait for an acknowledgement. */
function relayedSocket(opening: OpenRelayedShell, handler: SocketHandler): ShellSocket {
  const socket = socketTo(CLOUD_PATH);
  const input = new TerminalInput((message) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  });
  const output = new TerminalOutput();
  const timer = setInterval(() => input.keepAlive(), KEEP_ALIVE_SECONDS * 1000);
  socket.onopen = () => socket.send(JSON.stringify(opening));
  socket.onmessage = ({ data }: MessageEvent<string>) => {
    const frame = JSON.parse(data) as RelayedShellFrame;
    switch (frame.terminal) {
      case "opened":
        input.start();
        break;
      case "acked":
        input.acknowledge();
        break;
      case "output":
        if (output.isNew(frame.seq)) handler.onOutput(decodeBase64(frame.b64));
        break;
      case "ended":
        if (frame.end !== null) handler.onEnd(frame.end);
        socket.close();
        break;
      default: // API Gateway reports that a message was not handled
        handler.onEnd({ code: null, reason: "the installation did not handle a message" });
        socket.close();
    }
  };
  socket.onclose = () => {
    clearInterval(timer);
    handler.onClose();
  };
  return {
    type: (data) => input.type(data),
    note: (note) => input.note(note),
    close: () => socket.close(),
  };
}
