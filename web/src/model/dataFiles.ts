/** Data files: what a name says of them, and where they stand. */

export type PreviewKind = "text" | "table" | "image" | "markdown" | "none";

/** Pictures that a browser draws; their type is ours to say, never the file's. */
const IMAGES: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  bmp: "image/bmp",
  ico: "image/x-icon",
  // Drawn as a picture, an SVG runs no scripts and loads nothing.
  svg: "image/svg+xml",
};

function endingOf(name: string): string {
  const base = baseName(name);
  const dot = base.lastIndexOf(".");
  return dot < 0 ? "" : base.slice(dot + 1).toLowerCase();
}

/** The media type of a picture; null for what is none. */
export function imageType(name: string): string | null {
  return IMAGES[endingOf(name)] ?? null;
}

/** How a file is best shown, by its name and its first bytes. */
export function previewKind(name: string, head: Uint8Array): PreviewKind {
  if (imageType(name) !== null) return "image";
  if (looksBinary(head)) return "none";
  const ending = endingOf(name);
  if (ending === "csv" || ending === "tsv") return "table";
  return ending === "md" || ending === "markdown" ? "markdown" : "text";
}

/** Text has no zero bytes. */
export function looksBinary(head: Uint8Array): boolean {
  return head.subarray(0, 8192).includes(0);
}

/** The last part of a name. */
export function baseName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** The directory that holds a name; empty for the top. */
export function directoryOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}

export function joined(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** A directory's parts, each with its whole name: `a/b` is `a`, then `a/b`. */
export function crumbsOf(directory: string): { label: string; name: string }[] {
  if (directory === "") return [];
  const parts = directory.split("/");
  return parts.map((label, index) => ({ label, name: parts.slice(0, index + 1).join("/") }));
}
