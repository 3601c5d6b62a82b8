/**
 * The budget of the first load: what the browser fetches to show the page of a pipeline, apart from
 * its data. Scripts that are loaded on demand do not count.
 */

import { gzipSync } from "node:zlib";

/** Maximum size of all files together, compressed, in bytes. */
const MAX_BYTES = 115_000;
/** Maximum number of files: the page, its two scripts and its style sheet. */
const MAX_FILES = 4;

/** The files of the first load in the output of a build, with their compressed sizes. */
export function firstLoad(output) {
  const files = new Map(output.map((file) => [file.fileName, file]));
  const names = new Set(["index.html"]);
  const add = (name) => {
    if (names.has(name)) return;
    names.add(name);
    const { imports = [], viteMetadata } = files.get(name);
    for (const other of [...imports, ...(viteMetadata?.importedCss ?? [])]) add(other);
  };
  output.filter((file) => file.isEntry).forEach((file) => add(file.fileName));
  return [...names].map((name) => {
    const { code, source } = files.get(name);
    return { name, bytes: gzipSync(code ?? source, { level: 9 }).length };
  });
}

/** Throw an error if a build exceeds the budget; print its first load otherwise. */
export function checkFirstLoad(output) {
  const found = firstLoad(output);
  const bytes = found.reduce((sum, file) => sum + file.bytes, 0);
  const list = found.map((file) => `${file.name} ${file.bytes}`).join(", ");
  if (bytes > MAX_BYTES || found.length > MAX_FILES) {
    throw new Error(
      `the first load has ${bytes} bytes in ${found.length} files; at most ${MAX_BYTES} in ` +
        `${MAX_FILES} are allowed. Load code on demand (see preloadable). Files: ${list}`,
    );
  }
  console.log(`first load: ${bytes} of ${MAX_BYTES} bytes (gzip): ${list}`);
}
