/**
 * The first requests of a pipeline's page, sent before the rest of the script is evaluated: they
 * would otherwise wait for it, and that of the node for the tree. `main.tsx` imports this first.
 */

/** The server accepts session cookies only with this header, which other sites cannot send. */
export const FROM_APP = { "X-Conducto": "1" };

const responses = new Map<string, Promise<Response | null>>();

/** The addresses that the page of a pipeline requests. */
export function firstAddresses({ pathname, search, hash }: Location): string[] {
  const id = /^\/p\/([^/]+)$/.exec(pathname)?.[1];
  if (id === undefined || hash.startsWith("#code=")) return []; // not signed in yet
  const path = new URLSearchParams(search).get("node") ?? "/";
  const pipeline = `/api/v1/pipelines/${id}`;
  return [pipeline, `${pipeline}/node?${new URLSearchParams({ path }).toString()}`];
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
