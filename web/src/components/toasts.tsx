import { useSyncExternalStore } from "react";

import styles from "@/components/Toasts.module.css";
import { Listeners } from "@/lib/listeners";
import { TOASTS } from "@/strings";

/** Short messages about completed actions, announced by screen readers. */
export interface Toast {
  id: number;
  kind: "info" | "error";
  text: string;
  /** Reverts the action. */
  undo: (() => void) | null;
}

const SHOWN_MS = 6000;
const UNDO_MS = 12_000;
let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Listeners();

function change(next: readonly Toast[]): void {
  toasts = next;
  listeners.notify();
}

export function dismiss(id: number): void {
  change(toasts.filter((toast) => toast.id !== id));
}

/** Show a message. Errors stay until they are closed. */
export function toast(
  text: string,
  kind: Toast["kind"] = "info",
  undo: Toast["undo"] = null,
): void {
  const id = nextId;
  nextId += 1;
  change([...toasts.slice(-3), { id, kind, text, undo }]);
  if (kind !== "info") return;
  window.setTimeout(() => dismiss(id), undo === null ? SHOWN_MS : UNDO_MS);
}

export function Toasts() {
  const shown = useSyncExternalStore(listeners.subscribe, () => toasts);
  return (
    <div className={styles.list} role="status" aria-live="polite">
      {shown.map((one) => (
        <div
          key={one.id}
          className={one.kind === "error" ? `${styles.toast} ${styles.error}` : styles.toast}
        >
          <span>{one.text}</span>
          {one.undo === null ? null : <Undo toast={one} undo={one.undo} />}
          <button
            type="button"
            className={styles.close}
            aria-label={TOASTS.close}
            onClick={() => dismiss(one.id)}
          >
            ×
          </button>
        </div>
      ))}
    </div>
  );
}

function Undo({ toast: { id }, undo }: { toast: Toast; undo: () => void }) {
  const onClick = () => {
    dismiss(id);
    undo();
  };
  return (
    <button type="button" className={styles.undo} onClick={onClick}>
      {TOASTS.undo}
    </button>
  );
}
