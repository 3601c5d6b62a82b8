/** Canvas helpers: theme colours and device pixels. */

/** The tokens of the colours. States are fills. */
const COLOURS = {
  ground: "ground",
  surface: "surface",
  line: "line",
  text: "text",
  muted: "text-2",
  accent: "accent",
  selected: "selected",
  pending: "pending-fill",
  queued: "queued-fill",
  running: "running-fill",
  done: "done-fill",
  error: "error-fill",
  killed: "killed-fill",
  skipped: "skipped-fill",
  "wait-image": "wait-image",
  "wait-start": "wait-start",
  approval: "approval",
  stale: "warning",
} as const;

export type Palette = Record<keyof typeof COLOURS, string>;

/** Context and colours of a canvas. */
export interface Pen {
  context: CanvasRenderingContext2D;
  colours: Palette;
}

/** The value of a CSS variable in the current theme. */
export function themeValue(name: string, element: Element = document.documentElement): string {
  const value = getComputedStyle(element).getPropertyValue(`--${name}`).trim();
  const [, light, dark] = /^light-dark\((.*), (.*)\)$/.exec(value) ?? [];
  return (isDark() ? dark : light) ?? value;
}

function isDark(): boolean {
  const { theme } = document.documentElement.dataset;
  if (theme !== undefined) return theme === "dark";
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

export function paletteOf(element: Element): Palette {
  const colours = Object.entries(COLOURS).map(([name, token]) => [
    name,
    themeValue(token, element),
  ]);
  return Object.fromEntries(colours) as Palette;
}

/** Size a canvas to its element and return a context in CSS pixels; null if the element has no size. */
export function prepared(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio;
  if (width === 0 || height === 0) return null;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context?.scale(ratio, ratio);
  return context;
}

/** Call `changed` on every theme change. Returns a function that stops this. */
export function onThemeChange(changed: () => void): () => void {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  system.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    system.removeEventListener("change", changed);
  };
}
