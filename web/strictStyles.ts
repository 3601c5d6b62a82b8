/**
 * Makes xterm.js work under the content security policy.
 *
 * xterm.js creates style elements and sets `style` attributes, which the policy forbids because
 * injected ones look the same. Constructed style sheets and the CSSOM are allowed, so this plugin
 * rewrites those places in xterm.js, and fails the build if it does not find the expected ones.
 */

import { fileURLToPath } from "node:url";

import type { Plugin } from "vite";

const XTERM = /\/@xterm\/xterm\/lib\/xterm\.mjs$/;
const OURS = fileURLToPath(new URL("./src/debug/styles.ts", import.meta.url));

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
      `xterm.js has ${found} matches of ${what.source} instead of ${count}; ` +
        "check how it sets styles and update web/strictStyles.ts",
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
          throw new Error("xterm.js sets styles in an unknown way; update web/strictStyles.ts");
        }
        const use = `import { styleElement as strictStyleElement } from ${JSON.stringify(OURS)};\n`;
        return { code: use + strict, map: null };
      },
    },
  };
}
