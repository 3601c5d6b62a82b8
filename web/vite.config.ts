import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

import { strictStyles } from "./strictStyles.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Where the agent listens while somebody works on the app with `npm run dev`. */
const AGENT = process.env["CONDUCTO_AGENT"] ?? "http://127.0.0.1:8990";

/** Modules of ours and parts that more than one page uses; what is for one page stays with it. */
const SHARED =
  /\/src\/(?:api|app|components|lib|live|model)\/|\/(?:HelpDialog|LogLine)\.tsx|\/node_modules\//;

/**
 * The first paint waits for the app's script, which knows the chosen theme. A browser that does not
 * know `blocking` may show an empty page in the system's theme before.
 */
function paintLast(): Plugin {
  const script = '<script type="module" ';
  return {
    name: "paint-last",
    transformIndexHtml: {
      order: "post",
      handler: (html) => html.replace(script, `${script}blocking="render" `),
    },
  };
}

export default defineConfig({
  plugins: [react(), strictStyles(), paintLast()],
  resolve: { alias: { "@": here("./src") } },
  build: {
    // `publish.mjs` says where to: never straight into what an agent may be serving.
    outDir: here("../build/web"),
    target: "es2022",
    // The content security policy allows files of our own only: no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Few small style sheets: one request is cheaper than two.
    cssCodeSplit: false,
    // So are few scripts: what several pages use comes as one, not as a dozen of small ones.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [{ name: "shared", test: SHARED, minShareCount: 2, entriesAware: false }],
        },
      },
    },
  },
  server: { proxy: { "/api": { target: AGENT, ws: true }, "/session": AGENT } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
