import { useSyncExternalStore } from "react";

import { SERVER } from "@/api/deployment";
import { type Change, unconfirmed } from "@/api/unconfirmed";
import styles from "@/components/Toasts.module.css";
import { useNow } from "@/components/useNow";
import { Listeners } from "@/lib/listeners";

const nameOf = (action: string | null) => (action === null ? "your last change" : `“${action}”`);

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
/** A change is shown as not confirmed after the first time, as unknown after the second, in s. */
const UNCONFIRMED_S = 1;
const UNKNOWN_S = 30;
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
  const changes = useSyncExternalStore(unconfirmed.subscribe, unconfirmed.current);
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
            aria-label="Close message"
            onClick={() => dismiss(one.id)}
          >
            ×
          </button>
        </div>
      ))}
      {changes.map((change) => (
        <Unconfirmed key={change.id} change={change} />
      ))}
    </div>
  );
}

/** A change that the server may or may not have made. */
function Unconfirmed({ change: { action, since, forget } }: { change: Change }) {
  const time = useNow(true) - since;
  if (time < UNCONFIRMED_S) return null;
  const server = SERVER.toLowerCase();
  return (
    <div className={`${styles.toast} ${styles.waiting}`}>
      <span>
        {time < UNKNOWN_S
          ? `Not confirmed: ${server} has not answered to ${nameOf(action)}. Trying again…`
          : `It is not known whether ${nameOf(action)} was done. The page asks again as soon as ${server} responds; it is done at most once.`}
      </span>
      <button type="button" className={styles.undo} onClick={forget}>
        Stop trying
      </button>
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
      Undo
    </button>
  );
}
