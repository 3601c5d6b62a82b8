/** Quoting for POSIX shells. */

const SAFE = /^[A-Za-z0-9_@%+=:,./-]+$/;

export function quote(word: string): string {
  return SAFE.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

export function commandLine(...words: string[]): string {
  return words.map(quote).join(" ");
}
