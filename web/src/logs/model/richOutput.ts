/** Markdown that commands print between tags. */

export const BEGIN = "<ConductoMarkdown>";
export const END = "</ConductoMarkdown>";

/** The blocks of an output; the last one may be incomplete. */
export function markdownBlocks(output: string): string[] {
  const blocks: string[] = [];
  let at = output.indexOf(BEGIN);
  while (at >= 0) {
    const from = at + BEGIN.length;
    const end = output.indexOf(END, from);
    const block = output.slice(from, end < 0 ? output.length : end).trim();
    if (block !== "") blocks.push(block);
    at = end < 0 ? -1 : output.indexOf(BEGIN, end);
  }
  return blocks;
}
