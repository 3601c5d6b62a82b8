import type { NodeDetail } from "@/api/schema";

/** The services of a node, each as "name: image". */
export function servicesOf({ parameters }: Pick<NodeDetail, "parameters">): string[] {
  const value = parameters.find(({ name }) => name === "services")?.value;
  return Array.isArray(value) ? value.map(String) : [];
}
