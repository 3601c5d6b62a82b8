import { useEffect, useRef, useState, useSyncExternalStore } from "react";

import { Button } from "@/components/Button";
import { visible } from "@/lib/visible";
import type { ShellTarget } from "@/debug/live/shell";
import { stateText, titleText } from "@/debug/model/shell";
import shellStyles from "@/debug/Shell.module.css";
import { closeShell, shellKey } from "@/debug/openShells";
import { endSession, LEAVE_KEYS, sessionFor } from "@/debug/session";

/** A terminal with a debug shell. */
export function ShellPanel({ place }: { place: ShellTarget }) {
  const key = shellKey(place);
  const session = sessionFor(key, place);
  const view = useSyncExternalStore(session.subscribe, () => session.view);
  const [readable, setReadable] = useState(session.terminal.options.screenReaderMode === true);
  const screen = useRef<HTMLDivElement>(null);
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    session.onLeave = () => close.current?.focus();
    return screen.current === null ? undefined : session.attach(screen.current);
  }, [session]);

  const over = view.state.kind === "ended" || view.state.kind === "refused";
  const onClose = () => {
    endSession(key);
    closeShell(place);
    document.querySelector<HTMLElement>("[data-node-pane]")?.focus();
  };
  const toggleReadable = () => {
    session.terminal.options.screenReaderMode = !readable;
    setReadable(!readable);
  };
  return (
    <section className={shellStyles.shell} aria-label={`Shell in ${visible(place.path)}`}>
      <div className={shellStyles.bar}>
        <strong>{titleText(place.snapshot, view.ticket)}</strong>
        <span className={shellStyles.state} role={over ? "alert" : "status"}>
          {stateText(view.state)}
        </span>
        <span className={shellStyles.actions}>
          {over ? null : (
            <span className={`muted ${shellStyles.hint}`}>
              <kbd>{LEAVE_KEYS}</kbd> to leave the terminal
            </span>
          )}
          <Button
            variant="quiet"
            aria-pressed={readable}
            title="Make the output readable for screen readers"
            onClick={toggleReadable}
          >
            Screen reader
          </Button>
          {over ? (
            <Button variant="quiet" onClick={() => session.reconnect()}>
              Reconnect
            </Button>
          ) : null}
          <button ref={close} type="button" className="button button-quiet" onClick={onClose}>
            {over ? "Close" : "End shell"}
          </button>
        </span>
      </div>
      {view.ticket?.notes.map((note) => (
        <p key={note} className={shellStyles.note}>
          {note}
        </p>
      ))}
      <div className={shellStyles.screen} ref={screen} />
    </section>
  );
}
