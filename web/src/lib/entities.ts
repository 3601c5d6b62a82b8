/** Replaces the package `entities` in the bundle: the browser knows the names of characters. */

const area = document.createElement("textarea");

/** Decode one reference, such as `&amp;`; unknown ones stay. */
export function decodeHTMLStrict(text: string): string {
  area.innerHTML = text.replaceAll("<", "&lt;");
  return area.value;
}
