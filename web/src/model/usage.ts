/** Which nodes use an image, in as few paths as say it. */

import type { NodeView } from "@/api/schema";
import { ancestorsOf, parentOf, ROOT } from "@/model/paths";

type Node = Pick<NodeView, "path" | "type" | "image">;

export interface Usage {
  /** Execs that use the image. */
  execs: number;
  /** Nodes below which every Exec uses it, none of them within another. */
  paths: string[];
}

/** The use of an image in a whole tree; an order to `paths` reaches these Execs and no others. */
export function usageOf(image: string, nodes: Iterable<Node>): Usage {
  const using: string[] = [];
  const mixed = new Set<string>();
  for (const node of nodes) {
    if (node.type !== "Exec") continue;
    if (node.image === image) using.push(node.path);
    else for (const above of ancestorsOf(node.path)) mixed.add(above);
  }
  const paths = new Set(using.map((path) => highestPure(path, mixed)));
  return { execs: using.length, paths: [...paths] };
}

function highestPure(path: string, mixed: ReadonlySet<string>): string {
  let highest = path;
  for (let above = parentOf(path); above !== null && !mixed.has(above); above = parentOf(above)) {
    highest = above;
    if (above === ROOT) break;
  }
  return highest;
}
