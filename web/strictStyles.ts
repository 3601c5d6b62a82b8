/**
 * Lets xterm.js live under our content security policy.
 *
 * It makes style elements and sets `style` attributes. The policy allows neither, because a browser
 * cannot tell them from those that a stranger got into the page; style sheets and styles that a
 * script sets as objects it allows. So this writes the few places of xterm.js anew, and fails the
 * build where they are not as it knows them.
 */

import { fileURLToPath } from "node:url";

import type { Plugin } from "vite";

const XTERM = /\/@xterm\/xterm\/lib\/xterm\.mjs$/;
const OURS = fileURLToPath(new URL("./src/pages/pipeline/shell/styles.ts", import.meta.url));

interface Place {
  what: RegExp;
  becomes: string;
  count: number;
}

const PLACES: readonly Place[] = [
  { what: /[\w.]+\.createElement\("style"\)/g, becomes: "strictStyleElement()", count: 3 },
  {
    what: /(\w+)\.setAttribute\("style",`\$\{\1\.getAttribute\("style"\)\|\|""\}\$\{(\w+)\};`\)/g,
    becomes: "$1.style.cssText+=`$${$2};`",
    count: 1,
  },
];

function rewritten(code: string, { what, becomes, count }: Place): string {
  const found = code.match(what)?.length ?? 0;
  if (found !== count) {
    throw new Error(
      `xterm.js has ${found} places like ${what.source}, not ${count}: look at how it writes styles ` +
        "now, and correct web/strictStyles.ts",
    );
  }
  return code.replaceAll(what, becomes);
}

export function strictStyles(): Plugin {
  return {
    name: "strict-styles",
    apply: "build",
    transform: {
      filter: { id: XTERM },
      handler(code) {
        const strict = PLACES.reduce(rewritten, code);
        if (/createElement\(["'`]style|setAttribute\(["'`]style/.test(strict)) {
          throw new Error("xterm.js writes styles in a way that web/strictStyles.ts does not know");
        }
        const use = `import { styleElement as strictStyleElement } from ${JSON.stringify(OURS)};\n`;
        return { code: use + strict, map: null };
      },
    },
  };
}
