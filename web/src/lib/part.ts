/** Code that is loaded on demand, again if loading failed. */

import { Listeners } from "@/lib/listeners";

export type PartState<Value> =
  { kind: "loading" } | { kind: "loaded"; value: Value } | { kind: "failed"; error: unknown };

/** A dynamic import whose state can be read at any time. */
export class Part<Value> {
  private state: PartState<Value> = { kind: "loading" };
  private isRequested = false;
  private readonly listeners = new Listeners();
  readonly subscribe = this.listeners.subscribe;

  constructor(private readonly load: () => Promise<Value>) {}

  readonly current = (): PartState<Value> => this.state;

  /** Load the code unless it is loaded or loading. Never rejects. */
  readonly request = async (): Promise<void> => {
    if (this.isRequested) return;
    this.isRequested = true;
    if (this.state.kind === "failed") this.set({ kind: "loading" });
    try {
      this.set({ kind: "loaded", value: await this.load() });
    } catch (error) {
      this.isRequested = false;
      this.set({ kind: "failed", error });
    }
  };

  private set(state: PartState<Value>): void {
    this.state = state;
    this.listeners.notify();
  }
}
