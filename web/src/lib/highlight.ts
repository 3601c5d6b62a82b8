/** Syntax highlighting of shell and Python commands. Unknown text stays plain. */

export type Language = "shell" | "python";
export type TokenKind = "plain" | "keyword" | "string" | "comment" | "variable" | "number" | "flag";

export interface Token {
  kind: TokenKind;
  text: string;
}

/** Longer commands stay plain, in UTF-16 code units. */
const MAX = 50_000;

const SHELL_KEYWORDS =
  "if then elif else fi for in do done while until case esac function return break continue " +
  "exit export local set unset trap source eval exec cd test";
const PYTHON_KEYWORDS =
  "and as assert async await break class continue def del elif else except False finally for " +
  "from global if import in is lambda None nonlocal not or pass raise return True try while with yield";

function words(text: string): string {
  return text.split(" ").join("|");
}

/** One alternative per token kind; group names are kinds. */
const RULES: Record<Language, RegExp> = {
  shell: new RegExp(
    [
      String.raw`(?<comment>(?<=^|\s)#[^\n]*)`,
      String.raw`(?<string>'[^']*'|"(?:\\.|[^"\\])*")`,
      String.raw`(?<variable>\$(?:\{[^}\n]*\}|\w+|[#?@*!$-]))`,
      String.raw`(?<flag>(?<=\s)--?[A-Za-z][\w-]*)`,
      String.raw`(?<keyword>(?<![\w./=-])(?:${words(SHELL_KEYWORDS)})(?![\w./=-]))`,
      String.raw`(?<number>(?<![\w./-])\d+(?![\w./-]))`,
    ].join("|"),
    "gm",
  ),
  python: new RegExp(
    [
      String.raw`(?<comment>#[^\n]*)`,
      String.raw`(?<string>[rbfu]{0,2}(?:"""[^]*?"""|'''[^]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))`,
      String.raw`(?<variable>@(?<=^[ \t]*@)[\w.]+)`,
      String.raw`(?<keyword>(?<![\w.])(?:${words(PYTHON_KEYWORDS)})(?!\w))`,
      String.raw`(?<number>(?<![\w.])\d[\d_.]*(?!\w))`,
    ].join("|"),
    "gm",
  ),
};

export function languageOf(command: string): Language {
  return /^#!.*\bpython/.test(command) ? "python" : "shell";
}

/** Split a command into tokens. Their texts concatenate to the command. */
export function tokens(command: string, language: Language = languageOf(command)): Token[] {
  if (command.length > MAX) return [{ kind: "plain", text: command }];
  const found: Token[] = [];
  let at = 0;
  for (const match of command.matchAll(RULES[language])) {
    if (match.index > at) found.push({ kind: "plain", text: command.slice(at, match.index) });
    found.push({ kind: kindOf(match.groups), text: match[0] });
    at = match.index + match[0].length;
  }
  if (at < command.length) found.push({ kind: "plain", text: command.slice(at) });
  return found;
}

function kindOf(groups: Record<string, string | undefined> | undefined): TokenKind {
  for (const [name, text] of Object.entries(groups ?? {})) {
    if (text !== undefined) return name as TokenKind;
  }
  return "plain";
}
