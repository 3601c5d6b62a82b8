/** Canvas helpers: theme colours and device pixels. */

export type Palette = Record<
  | "ground"
  | "surface"
  | "line"
  | "text"
  | "muted"
  | "accent"
  | "chosen"
  | "pending"
  | "queued"
  | "running"
  | "done"
  | "error"
  | "killed"
  | "waitImage"
  | "waitStart",
  string
>;

export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const value = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ground: value("ground"),
    surface: value("surface"),
    line: value("line"),
    text: value("text"),
    muted: value("muted"),
    accent: value("accent"),
    chosen: value("chosen"),
    pending: value("pending"),
    queued: value("queued"),
    running: value("running"),
    done: value("done"),
    error: value("error"),
    killed: value("killed"),
    waitImage: value("wait-image"),
    waitStart: value("wait-start"),
  };
}

/**
 * Size a canvas to its element and return a context in CSS pixels; null if the element has no size.
 */
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
