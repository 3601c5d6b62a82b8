/** Addresses of data, as commands print them in markdown, and where this server has the data. */

import { dataFile } from "@/api/data";

/** `conducto.data.pipeline.url()` and `conducto.data.user.url()` make these. */
const PRINTED = /^\/gw\/manager\/data\/([^/]+)\/(pipeline|user)\/(.+)$/;

/** Where the data behind a printed address is served; null for an address of anything else. */
export function servedAt(address: string, origin: string): string | null {
  let url: URL;
  try {
    url = new URL(address, origin);
  } catch {
    return null;
  }
  const found = url.origin === origin ? PRINTED.exec(url.pathname) : null;
  if (found === null) return null;
  const [, id = "", scope, name = ""] = found;
  try {
    return dataFile(scope === "user" ? null : decodeURIComponent(id), decodeURIComponent(name));
  } catch {
    return null; // a percent sign that stands for nothing
  }
}
