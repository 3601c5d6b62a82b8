import { expect, test } from "vitest";

import { type Language, languageOf, tokens } from "@/lib/highlight";

function marked(command: string, language?: Language): string[] {
  return tokens(command, language)
    .filter((one) => one.kind !== "plain")
    .map((one) => `${one.kind} ${one.text}`);
}

test("shell keywords, strings, variables and comments are recognised", () => {
  const command = `for f in *.txt; do grep --color "a $x" '$y' $f; done # all`;

  expect(marked(command)).toEqual([
    "keyword for",
    "keyword in",
    "keyword do",
    "flag --color",
    'string "a $x"',
    "string '$y'",
    "variable $f",
    "keyword done",
    "comment # all",
  ]);
});

test("words that contain a keyword stay plain", () => {
  expect(marked("./for done.txt a#b my-if in=a")).toEqual([]);
});

test("a Python shebang selects Python", () => {
  const command = `#!/usr/bin/env python3\nimport sys\nprint(f'{1}', 42, None)`;

  expect(languageOf(command)).toBe("python");
  expect(marked(command)).toEqual([
    "comment #!/usr/bin/env python3",
    "keyword import",
    "string f'{1}'",
    "number 42",
    "keyword None",
  ]);
});

test.each([
  "echo 'never closed",
  'echo "a \\" b',
  "${ $ $( '' \"\" # \n\n\\",
  '"""never closed\nprint(1)',
  "'".repeat(999),
  "x".repeat(60_000),
])("tokens concatenate to the command: %#", (command) => {
  for (const language of ["shell", "python"] as const) {
    const whole = tokens(command, language).map((one) => one.text);
    expect(whole.join("")).toBe(command);
  }
});
