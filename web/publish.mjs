/**
 * Builds the app and puts it in the place of the one that the agent serves.
 *
 * An agent may be serving while this runs: the build is made elsewhere, its files come beside the
 * old ones (their names hold a digest), the page that names them is replaced in one step, and only
 * then do the old ones go. A build that fails changes nothing.
 */

import { cp, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const served = process.argv[2] ?? join(root, "local_runner", "conducto_local", "web");
const PAGE = "index.html";

async function filesIn(directory) {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

/** Replace one file as a whole: a reader sees the old one or the new one. */
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
  await build({ root: join(root, "web"), build: { outDir: made, emptyOutDir: true } });
  await publish(made);
} finally {
  await rm(made, { recursive: true, force: true });
}
