/** Code that is loaded on demand, again if loading failed. */

import { Listeners } from "@/lib/listeners";
import { stylesLoaded } from "@/lib/preload";
import { retried } from "@/lib/retry";

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

  /** Load the code and its styles unless they are loaded or loading. Never rejects. */
  readonly request = async (): Promise<void> => {
    if (this.isRequested) return;
    this.isRequested = true;
    if (this.state.kind === "failed") this.set({ kind: "loading" });
    try {
      const value = await retried(this.load, () => true);
      await stylesLoaded();
      this.set({ kind: "loaded", value });
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
