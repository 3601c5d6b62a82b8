/**
 * Checks the imports in src, whose folders are features. Layers import only themselves and lower
 * layers, and there are no cycles. Type imports count: a module that needs another's types cannot be read without it.
 */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Highest first. `live`, `model` and `api` are folders in each feature; the rest of it is `pages`. */
const LAYERS = ["app", "pages", "components", "live", "model", "api", "lib"];
const FOLDERS = /^(?:.+\/)?(live|model|api)\/|^(app(?!\/settings\/)|components|lib)\//;
/** Styles and the entry of the app have no layer. */
const WITHOUT_LAYER = /^styles\/|^[^/]+$/;
const IMPORT = /(?:from|import)\s*\(?\s*"@\/([^"]+)"/g;

const src = fileURLToPath(new URL("src/", import.meta.url));
const names = readdirSync(src, { recursive: true }).filter((name) => /\.tsx?$/.test(name));
const graph = new Map(
  names.map((name) => {
    const text = readFileSync(src + name, "utf8");
    return [name.replace(/\.tsx?$/, ""), [...text.matchAll(IMPORT)].map((found) => found[1])];
  }),
);

function layerOf(module) {
  if (WITHOUT_LAYER.test(module)) return -1;
  const found = FOLDERS.exec(module);
  return LAYERS.indexOf(found ? (found[1] ?? found[2]) : "pages");
}

function wrongLayers() {
  const edges = [...graph].flatMap(([from, all]) => all.map((to) => [from, to]));
  return edges
    .filter(([from, to]) => layerOf(to) !== -1 && layerOf(to) < layerOf(from))
    .map(([from, to]) => `${from} must not import ${to}: layers are ${LAYERS.join(" > ")}`);
}

function cycles() {
  const done = new Set();
  const found = [];
  function visit(module, trail) {
    if (trail.includes(module)) {
      found.push(`cycle: ${[...trail.slice(trail.indexOf(module)), module].join(" -> ")}`);
    } else if (!done.has(module)) {
      for (const next of graph.get(module) ?? []) visit(next, [...trail, module]);
      done.add(module);
    }
  }
  for (const module of graph.keys()) visit(module, []);
  return found;
}

const errors = [...wrongLayers(), ...cycles()];
for (const error of errors) console.error(error);
process.exitCode = errors.length > 0 ? 1 : 0;
