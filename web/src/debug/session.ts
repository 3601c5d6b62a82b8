/** A terminal and its shell connection. It continues while its node is not in view. */

import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import css from "@xterm/xterm/css/xterm.css?inline";

import type { ShellTicket } from "@/api/schema";
import { onThemeChange } from "@/components/canvas";
import { Listeners } from "@/lib/listeners";
import { ShellLink, type ShellTarget } from "@/debug/live/shell";
import { type ShellState, withoutEscapes } from "@/debug/model/shell";
import { AdoptedSheet } from "@/debug/styles";
import { monospace, terminalTheme } from "@/debug/theme";

/** The shell receives all other keys, including Tab. */
export const LEAVE_KEYS = "Ctrl+Shift+L";
const FONT_SIZE = 12;
const SCROLLBACK = 10_000;
/** Minimum contrast of text. */
const MIN_CONTRAST = 4.5;
const HIDE_CURSOR = "\x1b[?25l";
/** OSC 8 links can hide their target behind another text. */
const LINK = 8;

/** Shared by all terminals. */
let sheet: AdoptedSheet | null = null;

export interface ShellView {
  state: ShellState;
  /** Null until the agent has responded. */
  ticket: ShellTicket | null;
}

const OPENING: ShellView = { state: { kind: "opening" }, ticket: null };

export class ShellSession {
  readonly terminal: Terminal;
  private readonly fit = new FitAddon();
  private readonly listeners = new Listeners();
  readonly subscribe = this.listeners.subscribe;
  private readonly stopWatchingTheme: () => void;
  private readonly resized = new ResizeObserver(() => this.fit.fit());
  private link: ShellLink | null = null;
  /** Replaced on every change. */
  view: ShellView = OPENING;
  /** Called when the user leaves the terminal, to move the focus. */
  onLeave: () => void = () => undefined;

  constructor(private readonly place: ShellTarget) {
    sheet ??= new AdoptedSheet(css);
    this.terminal = new Terminal({
      theme: terminalTheme(),
      fontFamily: monospace(),
      fontSize: FONT_SIZE,
      lineHeight: 1.2,
      scrollback: SCROLLBACK,
      minimumContrastRatio: MIN_CONTRAST,
      cursorBlink: false,
    });
    this.terminal.loadAddon(this.fit);
    this.terminal.parser.registerOscHandler(LINK, () => true);
    this.terminal.attachCustomKeyEventHandler((event) => this.onKey(event));
    const encoder = new TextEncoder();
    this.terminal.onData((text) => this.link?.write(encoder.encode(text)));
    this.terminal.onBinary((text) =>
      this.link?.write(Uint8Array.from(text, (character) => character.charCodeAt(0))),
    );
    this.terminal.onResize(({ rows, cols }) => this.link?.resize({ lines: rows, columns: cols }));
    this.stopWatchingTheme = onThemeChange(() => {
      this.terminal.options.theme = terminalTheme();
    });
  }

  /** Show the terminal in an element. Returns a function that detaches it. */
  attach(parent: HTMLElement): () => void {
    if (this.terminal.element === undefined) {
      this.terminal.open(parent);
      this.label(parent);
    } else {
      parent.append(this.terminal.element);
    }
    this.fit.fit();
    this.resized.observe(parent);
    this.link ??= this.connect();
    this.terminal.focus();
    return () => this.resized.disconnect();
  }

  /** Open a new shell of the same kind. */
  reconnect(): void {
    this.link?.close();
    this.terminal.reset();
    this.terminal.options.disableStdin = false;
    this.change(OPENING);
    this.link = this.connect();
    this.terminal.focus();
  }

  close(): void {
    this.link?.close();
    this.resized.disconnect();
    this.stopWatchingTheme();
    this.terminal.dispose();
  }

  private connect(): ShellLink {
    const { rows, cols } = this.terminal;
    return new ShellLink(
      this.place,
      { lines: rows, columns: cols },
      {
        onState: (state) => {
          if (state.kind === "ended" || state.kind === "refused") {
            this.terminal.options.disableStdin = true;
            this.terminal.write(HIDE_CURSOR);
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
    this.listeners.notify();
  }

  /** Add labels for screen readers and remove escapes from pasted text. */
  private label(parent: HTMLElement): void {
    this.terminal.textarea?.setAttribute("aria-description", `${LEAVE_KEYS} leaves the terminal`);
    this.terminal.textarea?.setAttribute("aria-label", `Shell in ${this.place.path}`);
    const onPaste = (event: ClipboardEvent) => {
      event.preventDefault();
      event.stopPropagation();
      this.terminal.paste(withoutEscapes(event.clipboardData?.getData("text/plain") ?? ""));
    };
    this.terminal.element?.addEventListener("paste", onPaste, { capture: true });
    parent.classList.add("shell-shown");
  }

  /** Whether the terminal handles a key. */
  private onKey(event: KeyboardEvent): boolean {
    const control = event.ctrlKey && !event.altKey && !event.metaKey;
    const key = event.key.toLowerCase();
    if (control && event.shiftKey && key === "l") {
      event.preventDefault();
      if (event.type === "keydown") this.onLeave();
      return false;
    }
    // Copy and paste as everywhere in the browser.
    if (control && key === "c" && this.terminal.hasSelection()) return false;
    return !(control && key === "v");
  }
}

const sessions = new Map<string, ShellSession>();

/** The session of a key, created if needed. */
export function sessionFor(key: string, place: ShellTarget): ShellSession {
  const found = sessions.get(key) ?? new ShellSession(place);
  sessions.set(key, found);
  return found;
}

export function endSession(key: string): void {
  sessions.get(key)?.close();
  sessions.delete(key);
}
