/** Names and types of data files. */

export type PreviewKind = "text" | "table" | "image" | "markdown" | "none";

/** Image types that browsers show; chosen by extension, never by the file's content. */
const IMAGES: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  bmp: "image/bmp",
  ico: "image/x-icon",
  // SVG in an img element runs no scripts and loads nothing.
  svg: "image/svg+xml",
};

function extensionOf(name: string): string {
  const base = baseName(name);
  const dot = base.lastIndexOf(".");
  return dot < 0 ? "" : base.slice(dot + 1).toLowerCase();
}

/** The media type of an image; null for other files. */
export function imageType(name: string): string | null {
  return IMAGES[extensionOf(name)] ?? null;
}

/** The best preview of a file, by name and first bytes. */
export function previewKind(name: string, head: Uint8Array): PreviewKind {
  if (imageType(name) !== null) return "image";
  if (looksBinary(head)) return "none";
  const ending = extensionOf(name);
  if (ending === "csv" || ending === "tsv") return "table";
  return ending === "md" || ending === "markdown" ? "markdown" : "text";
}

export function looksBinary(head: Uint8Array): boolean {
  return head.subarray(0, 8192).includes(0);
}

export function baseName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** The directory of a file; empty for the top. */
export function directoryOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}

export function joined(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** The parts of a directory with their full names: `a/b` is `a`, then `a/b`. */
export function crumbsOf(directory: string): { label: string; name: string }[] {
  if (directory === "") return [];
  const parts = directory.split("/");
  return parts.map((label, index) => ({ label, name: parts.slice(0, index + 1).join("/") }));
}
