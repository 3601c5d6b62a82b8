import "@/pages/pipeline/shell/shell.css";

import { useEffect, useRef, useState, useSyncExternalStore } from "react";

import { Button } from "@/components/Button";
import type { ShellPlace } from "@/live/shell";
import { stateWords, titleWords } from "@/model/shell";
import { endSession, LEAVE_KEYS, sessionFor } from "@/pages/pipeline/shell/session";
import { forgetShell, shellKey } from "@/pages/pipeline/shell/shells";

/** A terminal with a debug shell in it, and how it ended. */
export function ShellPanel({ place }: { place: ShellPlace }) {
  const key = shellKey(place);
  const session = sessionFor(key, place);
  const view = useSyncExternalStore(session.subscribe, () => session.view);
  const [readable, setReadable] = useState(session.terminal.options.screenReaderMode === true);
  const screen = useRef<HTMLDivElement>(null);
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    session.onLeave = () => close.current?.focus();
    return screen.current === null ? undefined : session.showIn(screen.current);
  }, [session]);

  const over = view.state.kind === "ended" || view.state.kind === "refused";
  const onClose = () => {
    endSession(key);
    forgetShell(place);
    document.querySelector<HTMLElement>(".node-pane")?.focus();
  };
  const toggleReadable = () => {
    session.terminal.options.screenReaderMode = !readable;
    setReadable(!readable);
  };
  return (
    <section className="shell" aria-label={`Shell in ${place.path}`}>
      <div className="shell-bar">
        <strong>{titleWords(place.snapshot, view.ticket)}</strong>
        <span className="shell-state" role={over ? "alert" : "status"}>
          {stateWords(view.state)}
        </span>
        <span className="shell-actions">
          {over ? null : (
            <span className="muted shell-hint">
              <kbd>{LEAVE_KEYS}</kbd> leaves the terminal
            </span>
          )}
          <Button
            look="quiet"
            aria-pressed={readable}
            title="Let a screen reader read what is printed"
            onClick={toggleReadable}
          >
            Screen reader
          </Button>
          {over ? (
            <Button look="quiet" onClick={() => session.again()}>
              Open again
            </Button>
          ) : null}
          <button ref={close} type="button" className="button button-quiet" onClick={onClose}>
            {over ? "Close" : "End the shell"}
          </button>
        </span>
      </div>
      {view.ticket?.notes.map((note) => (
        <p key={note} className="shell-note">
          {note}
        </p>
      ))}
      <div className="shell-screen" ref={screen} />
    </section>
  );
}
