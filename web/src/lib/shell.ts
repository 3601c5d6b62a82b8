/** Text for a shell's command line. */

const SAFE = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** A word as a POSIX shell takes it back unchanged. */
export function quote(word: string): string {
  return SAFE.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** A command of words. */
export function commandLine(...words: string[]): string {
  return words.map(quote).join(" ");
}
