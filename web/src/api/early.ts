/**
 * The first requests of a pipeline's page. This script is a file of its own, which the browser
 * evaluates before the main script has arrived: the requests would otherwise wait for it, and those
 * of the tree and the node for the pipeline.
 */

/** The server accepts session cookies only with this header, which other sites cannot send. */
export const FROM_APP = { "X-Conducto": "1" };

/** The root and its children: the query of the first page of a tree. */
export const FIRST_TREE = { attempts: "newest", depth: 1, limit: 201 } as const;

const responses = new Map<string, Promise<Response | null>>();

/** The addresses that the page of a pipeline requests. */
export function firstAddresses({ pathname, search, hash }: Location): string[] {
  const id = /^\/p\/([^/]+)$/.exec(pathname)?.[1];
  if (id === undefined || hash.startsWith("#code=")) return []; // not signed in yet
  const path = new URLSearchParams(search).get("node") ?? "/";
  const pipeline = `/api/v1/pipelines/${id}`;
  return [
    pipeline,
    `${pipeline}/tree?${queryOf(FIRST_TREE)}`,
    `${pipeline}/node?${queryOf({ path })}`,
  ];
}

function queryOf(values: Readonly<Record<string, string | number>>): string {
  const texts = Object.entries(values).map(([name, value]) => [name, String(value)]);
  return new URLSearchParams(texts).toString();
}

/** The response to an address that was requested early: once, and null if it failed. */
export async function earlyResponse(address: string): Promise<Response | null> {
  const response = responses.get(address);
  responses.delete(address);
  return response ?? null;
}

if (typeof document !== "undefined") {
  for (const address of firstAddresses(location)) {
    const response = fetch(address, { credentials: "same-origin", headers: FROM_APP });
    responses.set(
      address,
      response.catch(() => null),
    );
  }
}
