import { basename } from "node:path";
import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

import { strictStyles } from "./strictStyles.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The agent that `npm run dev` uses. */
const AGENT = process.env["CONDUCTO_AGENT"] ?? "http://127.0.0.1:8990";

/** Modules that several pages use; the others stay with their page. */
const SHARED = /\/src\/(?:api|app|components|lib|live|model)\/|\/node_modules\//;

/** Parts of the overview that load after its first ones, in one request. */
const OVERVIEW =
  /\/src\/(?:run\/overview\/(?:Cached|Times)|run\/tree\/live\/wholeTree|results\/ReportsSection)\./;

const modules = new Map<string, string>();

/** The class of a CSS module: `Toasts-list`. Names of files are unique, and readable in a browser. */
function scopedName(name: string, file: string): string {
  const module = basename(file).split(".")[0] ?? "";
  const known = modules.get(module) ?? file;
  if (known !== file) throw new Error(`two CSS modules have one name: ${known}, ${file}`);
  modules.set(module, file);
  return `${module}-${name}`;
}

/**
 * Delay the first paint until the script has set the theme. Browsers without `blocking` may briefly
 * show an empty page in the system theme.
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

/** Evaluate the script with the first requests as soon as it has arrived, before the main script. */
function requestFirst(): Plugin {
  const preload = /[ \t]*<link rel="modulepreload" crossorigin href="(\/assets\/early-[^"]+)">\n/;
  return {
    name: "request-first",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: (html) => {
        const src = preload.exec(html)?.[1];
        if (src === undefined) throw new Error("the page does not load the script `early`");
        const tag = `    <script type="module" async crossorigin src="${src}"></script>\n`;
        return html.replace(preload, "").replace(/ *<script /, (main) => tag + main);
      },
    },
  };
}

export default defineConfig({
  plugins: [react(), strictStyles(), paintLast(), requestFirst()],
  define: { __DOCS__: JSON.stringify(process.env["CONDUCTO_SITE_URL"] ?? "") },
  resolve: {
    alias: {
      "@": here("./src"),
      // A twentieth of React's size; decision 0033.
      "react/jsx-runtime": "preact/jsx-runtime",
      "react-dom/client": "preact/compat/client",
      "react-dom": "preact/compat",
      react: "preact/compat",
      // The browser does the work of these dependencies of markdown-it.
      entities: here("./src/lib/entities.ts"),
      "punycode.js": here("./src/lib/punycode.ts"),
    },
  },
  css: { modules: { generateScopedName: scopedName } },
  build: {
    // `publish.mjs` overrides this; never build into the directory that an agent serves.
    outDir: here("../build/web"),
    target: "es2022",
    // The content security policy forbids data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // One script and one style sheet for the pipeline page: requests cost more than bytes. The
    // first requests do not wait for them.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "early", test: /\/src\/api\/early\.ts$/, priority: 3 },
            { name: "main", tags: ["$initial"], priority: 2 },
            { name: "overview", test: OVERVIEW, priority: 1 },
            { name: "shared", test: SHARED, minShareCount: 2, entriesAware: false },
          ],
        },
      },
    },
  },
  server: { proxy: { "/api": { target: AGENT, ws: true }, "/session": AGENT } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
