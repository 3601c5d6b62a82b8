/** Finds the nodes that use an image. */

import type { NodeView } from "@/api/schema";
import { ancestorsOf, parentOf, ROOT } from "@/run/model/paths";

type Node = Pick<NodeView, "path" | "type" | "image">;

export interface Usage {
  execs: number;
  /** The highest nodes below which every command uses the image. */
  paths: string[];
}

/** The use of an image in a tree. An action on `paths` affects exactly these commands. */
export function usageOf(image: string, nodes: Iterable<Node>): Usage {
  const users: string[] = [];
  const mixed = new Set<string>();
  for (const node of nodes) {
    if (node.type !== "Exec") continue;
    if (node.image === image) users.push(node.path);
    else for (const above of ancestorsOf(node.path)) mixed.add(above);
  }
  const paths = new Set(users.map((path) => highestUniform(path, mixed)));
  return { execs: users.length, paths: [...paths] };
}

function highestUniform(path: string, mixed: ReadonlySet<string>): string {
  let highest = path;
  for (let above = parentOf(path); above !== null && !mixed.has(above); above = parentOf(above)) {
    highest = above;
    if (above === ROOT) break;
  }
  return highest;
}
