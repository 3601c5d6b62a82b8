/** A terminal and the shell at its other side. It lives on while its node is not in view. */

import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import css from "@xterm/xterm/css/xterm.css?inline";

import type { ShellTicket } from "@/api/schema";
import { ShellLink, type ShellPlace } from "@/live/shell";
import { type ShellState, withoutEscapes } from "@/model/shell";
import { colours, monospace, onColours } from "@/pages/pipeline/shell/colours";
import { AdoptedSheet } from "@/pages/pipeline/shell/styles";

/** What leaves the terminal, whose keys go to the shell otherwise, Tab too. */
export const LEAVE_KEYS = "Ctrl+Shift+L";
const FONT_SIZE = 12;
const SCROLLBACK = 10_000;
/** Letters and background differ at least so much. */
const CONTRAST = 4.5;
const HIDDEN_CURSOR = "\x1b[?25l";
/** OSC 8: links whose text says another thing than where they lead. */
const LINK = 8;

/** Of all terminals; it comes with the first. */
let sheet: AdoptedSheet | null = null;

export interface ShellView {
  state: ShellState;
  /** Null until the agent has answered. */
  ticket: ShellTicket | null;
}

const OPENING: ShellView = { state: { kind: "opening" }, ticket: null };

export class ShellSession {
  readonly terminal: Terminal;
  private readonly fit = new FitAddon();
  private readonly listeners = new Set<() => void>();
  private readonly forgetColours: () => void;
  private readonly resized = new ResizeObserver(() => this.fit.fit());
  private link: ShellLink | null = null;
  /** What it is now; another object after each change. */
  view: ShellView = OPENING;
  /** Where the focus goes when a person leaves the terminal. */
  onLeave: () => void = () => undefined;

  constructor(private readonly place: ShellPlace) {
    sheet ??= new AdoptedSheet(css);
    this.terminal = new Terminal({
      theme: colours(),
      fontFamily: monospace(),
      fontSize: FONT_SIZE,
      lineHeight: 1.2,
      scrollback: SCROLLBACK,
      minimumContrastRatio: CONTRAST,
      cursorBlink: false,
    });
    this.terminal.loadAddon(this.fit);
    this.terminal.parser.registerOscHandler(LINK, () => true);
    this.terminal.attachCustomKeyEventHandler((event) => this.onKey(event));
    const encoder = new TextEncoder();
    this.terminal.onData((text) => this.link?.type(encoder.encode(text)));
    this.terminal.onBinary((text) =>
      this.link?.type(Uint8Array.from(text, (character) => character.charCodeAt(0))),
    );
    this.terminal.onResize(({ rows, cols }) => this.link?.resize({ lines: rows, columns: cols }));
    this.forgetColours = onColours(() => {
      this.terminal.options.theme = colours();
    });
  }

  /** Show the terminal in an element, until the function that is returned is called. */
  showIn(parent: HTMLElement): () => void {
    if (this.terminal.element === undefined) {
      this.terminal.open(parent);
      this.describe(parent);
    } else {
      parent.append(this.terminal.element);
    }
    this.fit.fit();
    this.resized.observe(parent);
    this.link ??= this.dial();
    this.terminal.focus();
    return () => this.resized.disconnect();
  }

  /** Open another shell of the same kind, after this one has ended. */
  again(): void {
    this.link?.close();
    this.terminal.reset();
    this.terminal.options.disableStdin = false;
    this.change(OPENING);
    this.link = this.dial();
    this.terminal.focus();
  }

  close(): void {
    this.link?.close();
    this.resized.disconnect();
    this.forgetColours();
    this.terminal.dispose();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private dial(): ShellLink {
    const { rows, cols } = this.terminal;
    return new ShellLink(
      this.place,
      { lines: rows, columns: cols },
      {
        onState: (state) => {
          if (state.kind === "ended" || state.kind === "refused") {
            this.terminal.options.disableStdin = true;
            this.terminal.write(HIDDEN_CURSOR);
          }
          this.change({ ...this.view, state });
        },
        onTicket: (ticket) => this.change({ ...this.view, ticket }),
        onOutput: (data, done) => this.terminal.write(data, done),
      },
    );
  }

  private change(view: ShellView): void {
    this.view = view;
    for (const listener of this.listeners) listener();
  }

  /** Say to a screen reader how to leave, and take pasted text as no more than text. */
  private describe(parent: HTMLElement): void {
    this.terminal.textarea?.setAttribute("aria-description", `${LEAVE_KEYS} leaves the terminal`);
    this.terminal.textarea?.setAttribute("aria-label", `Shell in ${this.place.path}`);
    const pasted = (event: ClipboardEvent) => {
      event.preventDefault();
      event.stopPropagation();
      this.terminal.paste(withoutEscapes(event.clipboardData?.getData("text/plain") ?? ""));
    };
    this.terminal.element?.addEventListener("paste", pasted, { capture: true });
    parent.classList.add("shell-shown");
  }

  /** Whether the terminal takes a key. */
  private onKey(event: KeyboardEvent): boolean {
    const control = event.ctrlKey && !event.altKey && !event.metaKey;
    const key = event.key.toLowerCase();
    if (control && event.shiftKey && key === "l") {
      event.preventDefault();
      if (event.type === "keydown") this.onLeave();
      return false;
    }
    // As everywhere in a browser: copy what is chosen, and paste.
    if (control && key === "c" && this.terminal.hasSelection()) return false;
    return !(control && key === "v");
  }
}

const sessions = new Map<string, ShellSession>();

/** The session of a key, made where there is none. */
export function sessionFor(key: string, place: ShellPlace): ShellSession {
  const found = sessions.get(key) ?? new ShellSession(place);
  sessions.set(key, found);
  return found;
}

export function endSession(key: string): void {
  sessions.get(key)?.close();
  sessions.delete(key);
}
