/** The stream of a pipeline's changes: resumed where it broke off, for as long as it is wanted. */

import { addressOf, api, ApiError, messageOf } from "@/api/client";
import type { EventBatch, Problem } from "@/api/schema";
import { IN_CLOUD } from "@/api/side";

const FIRST_DELAY = 250;
const LONGEST_DELAY = 4000;

export type LinkState =
  | { kind: "connecting" }
  | { kind: "live" }
  | { kind: "offline" }
  /** It makes no sense to try again: the session is over, or the pipeline is gone. */
  | { kind: "refused"; message: string; status: number };

export interface StreamOwner {
  /** Newest change that is known. */
  cursor: () => number;
  onBatch: (batch: EventBatch) => void;
  onState: (state: LinkState) => void;
  /** The server knows fewer changes than we do: start over. */
  onReset: () => void;
}

/** In the cloud one address serves all pipelines; what is followed is said there. */
const CLOUD_SOCKET = "/socket";

/** Number of the newest change in these batches; null where they hold none. */
export function lastChange(batches: readonly EventBatch[]): number | null {
  return batches.findLast((batch) => batch.changes.length > 0)?.changes.at(-1)?.seq ?? null;
}

export class EventStream {
  private socket: WebSocket | null = null;
  private timer: number | undefined;
  private delay = FIRST_DELAY;
  private closed = false;

  constructor(
    private readonly id: string,
    private readonly owner: StreamOwner,
  ) {
    this.connect();
    window.addEventListener("online", this.retryNow);
  }

  close(): void {
    this.closed = true;
    window.removeEventListener("online", this.retryNow);
    window.clearTimeout(this.timer);
    hangUp(this.socket);
  }

  /** Try again at once, e.g. because a person asked. */
  readonly retryNow = (): void => {
    if (this.closed || this.socket !== null) return;
    this.delay = FIRST_DELAY;
    window.clearTimeout(this.timer);
    this.connect();
  };

  private connect(): void {
    const cursor = this.owner.cursor();
    const path = `/pipelines/${encodeURIComponent(this.id)}/events`;
    const address = new URL(IN_CLOUD ? CLOUD_SOCKET : addressOf(path, { cursor }), location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address, "conducto.v1");
    this.socket = socket;
    socket.onopen = () => {
      if (IN_CLOUD) socket.send(JSON.stringify({ subscribe: this.id, cursor }));
      this.delay = FIRST_DELAY;
      this.owner.onState({ kind: "live" });
    };
    socket.onmessage = (message: MessageEvent<string>) => {
      const said = JSON.parse(message.data) as EventBatch | Problem;
      if ("changes" in said) this.owner.onBatch(said);
      else socket.close(); // `recover` finds out what is wrong
    };
    socket.onclose = () => {
      this.socket = null;
      if (!this.closed) void this.recover();
    };
  }

  /** A browser does not tell why a WebSocket was refused: ask for the pipeline to find out. */
  private async recover(): Promise<void> {
    try {
      const summary = await api.pipeline(this.id);
      if (summary.seq < this.owner.cursor()) {
        this.owner.onReset();
        return;
      }
      this.owner.onState({ kind: "connecting" });
    } catch (error) {
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) {
        this.owner.onState({ kind: "refused", message: messageOf(error), status: error.status });
        return;
      }
      this.owner.onState({ kind: "offline" });
    }
    if (this.closed) return;
    this.timer = window.setTimeout(() => this.connect(), this.delay);
    this.delay = Math.min(LONGEST_DELAY, this.delay * 2);
  }
}

/** A browser notes on its console that a WebSocket was closed before it was open. */
function hangUp(socket: WebSocket | null): void {
  if (socket === null) return;
  socket.onmessage = null;
  if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
  else socket.close();
}
