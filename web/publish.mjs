/**
 * Builds the app and replaces the version that the agent serves.
 *
 * An agent may be serving meanwhile. The app is built in another directory, the new files (named by
 * digest) are added, the page is replaced atomically, and then the old files are deleted. A failed
 * build, or one whose first load is too large, changes nothing.
 */

import { cp, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "vite";

import { checkFirstLoad } from "./firstLoad.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const served = process.argv[2] ?? join(root, "web", "conducto_web", "built");
const PAGE = "index.html";

async function filesIn(directory) {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

/** Replace a file atomically. */
async function put(made, name) {
  const target = join(served, name);
  const beside = `${target}.${process.pid}.new`;
  await mkdir(dirname(target), { recursive: true });
  await cp(join(made, name), beside);
  await rename(beside, target);
}

async function publish(made) {
  await mkdir(served, { recursive: true });
  const old = await filesIn(served);
  const names = await filesIn(made);
  for (const name of names.filter((one) => one !== PAGE)) await put(made, name);
  await put(made, PAGE);
  for (const name of old.filter((one) => !names.includes(one))) {
    await rm(join(served, name), { force: true });
  }
}

await mkdir(join(root, "build"), { recursive: true });
const made = await mkdtemp(join(root, "build", "web-"));
try {
  const options = { outDir: made, emptyOutDir: true };
  const { output } = await build({ root: join(root, "web"), build: options });
  checkFirstLoad(output);
  await publish(made);
} finally {
  await rm(made, { recursive: true, force: true });
}
