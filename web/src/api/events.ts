/** A pipeline's event stream. Reconnects and resumes until it is closed. */

import { api, ApiError, apiUrl, messageOf } from "@/api/client";
import { attention, wake } from "@/api/connection";
import { IN_CLOUD } from "@/api/deployment";
import { withReference } from "@/api/references";
import type { EventBatch, Problem } from "@/api/schema";
import { parseReference } from "@/lib/references";

const MIN_DELAY_MS = 250;
const MAX_DELAY_MS = 4000;

export type LinkState =
  | { kind: "connecting" }
  | { kind: "live" }
  | { kind: "offline" }
  /** Retrying is pointless: the session expired or the pipeline was deleted. */
  | { kind: "refused"; message: string; status: number };

export interface StreamHandler {
  /** Sequence number of the newest applied change. */
  cursor: () => number;
  /** Batches are waiting: `take` them soon. */
  onPending: () => void;
  onState: (state: LinkState) => void;
  /** The server has fewer changes than the client: reload. */
  onReset: () => void;
}

/** In the cloud, one socket serves all pipelines; the client sends a subscription. */
const CLOUD_PATH = "/socket";

function subscription(reference: string, cursor: number) {
  const { agent, id } = parseReference(reference);
  return { subscribe: id, cursor, ...(agent === null ? {} : { agent }) };
}

/** Sequence number of the newest change in the batches; null if they have none. */
export function lastChange(batches: readonly EventBatch[]): number | null {
  return batches.findLast((batch) => batch.changes.length > 0)?.changes.at(-1)?.seq ?? null;
}

export class EventStream {
  private pending: EventBatch[] = [];
  private socket: WebSocket | null = null;
  private timer: number | undefined;
  private delay = MIN_DELAY_MS;
  private closed = false;
  private readonly stopListening: readonly (() => void)[];

  constructor(
    private readonly id: string,
    private readonly handler: StreamHandler,
  ) {
    this.connect();
    this.stopListening = [
      attention.subscribe(this.retryNow),
      wake.subscribe(() => this.reconnect()),
    ];
  }

  close(): void {
    this.closed = true;
    for (const stop of this.stopListening) stop();
    window.clearTimeout(this.timer);
    closeSocket(this.socket);
  }

  /** Return the batches received since the last call. */
  take(): EventBatch[] {
    const batches = this.pending;
    this.pending = [];
    return batches;
  }

  /** Reconnect immediately. */
  readonly retryNow = (): void => {
    if (this.closed || this.socket !== null) return;
    this.delay = MIN_DELAY_MS;
    window.clearTimeout(this.timer);
    this.connect();
  };

  /** Replace a connection that may be lost without a sign. */
  private reconnect(): void {
    const { socket } = this;
    if (socket === null) return;
    socket.onclose = null;
    closeSocket(socket);
    this.socket = null;
    this.retryNow();
  }

  /** Includes changes that are not applied yet. */
  private cursor(): number {
    return lastChange(this.pending) ?? this.handler.cursor();
  }

  private connect(): void {
    const cursor = this.cursor();
    const path = `/pipelines/${encodeURIComponent(this.id)}/events`;
    const address = new URL(IN_CLOUD ? CLOUD_PATH : apiUrl(path, { cursor }), location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address, "conducto.v1");
    this.socket = socket;
    socket.onopen = () => {
      if (IN_CLOUD) socket.send(JSON.stringify(subscription(this.id, cursor)));
      this.delay = MIN_DELAY_MS;
      this.handler.onState({ kind: "live" });
    };
    socket.onmessage = (message: MessageEvent<string>) => {
      const content = JSON.parse(message.data) as EventBatch | Problem;
      if ("changes" in content) {
        const { agent } = parseReference(this.id);
        this.pending.push({ ...content, pipeline: withReference(content.pipeline, agent) });
        this.handler.onPending();
      } else socket.close(); // `recover` finds the cause
    };
    socket.onclose = () => {
      this.socket = null;
      if (!this.closed) void this.recover();
    };
  }

  /** Browsers hide why a WebSocket was rejected, so request the pipeline to find out. */
  private async recover(): Promise<void> {
    try {
      const summary = await api.pipeline(this.id);
      if (summary.seq < this.cursor()) {
        this.handler.onReset();
        return;
      }
      this.handler.onState({ kind: "connecting" });
    } catch (error) {
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) {
        this.handler.onState({ kind: "refused", message: messageOf(error), status: error.status });
        return;
      }
      this.handler.onState({ kind: "offline" });
    }
    if (this.closed) return;
    this.timer = window.setTimeout(() => this.connect(), this.delay);
    this.delay = Math.min(MAX_DELAY_MS, this.delay * 2);
  }
}

/** Browsers log an error if a WebSocket is closed before it is open. */
function closeSocket(socket: WebSocket | null): void {
  if (socket === null) return;
  socket.onmessage = null;
  if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
  else socket.close();
}
