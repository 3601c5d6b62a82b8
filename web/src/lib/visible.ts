/** Makes characters visible that would change the order or the look of the text around them. */

/** Bidirectional controls, zero-width characters and C0/C1 controls. */
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Escape hidden characters, e.g. `\u202e`, so that a name reads as what it is. */
export function visible(text: string): string {
  return text.replace(
    HIDDEN,
    (one) => `\\u${(one.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/** Text with line breaks as one line, e.g. a script in a row. */
export function visibleInLine(text: string): string {
  return visible(text.trim().replace(/\s*\n\s*/g, " ↵ "));
}

/** Text in which line breaks stay, e.g. for a tooltip. */
export function visibleLines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}
