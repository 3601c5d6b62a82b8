/** Data URLs that commands print in Markdown. */

import { dataFileUrl } from "@/data/api/data";

/** Made by `conducto.data.pipeline.url()` and `conducto.data.user.url()`. */
const DATA_URL = /^\/gw\/manager\/data\/([^/]+)\/(pipeline|user)\/(.+)$/;

/** The URL at which this server has the data; null if the address is not a data URL. */
export function servedUrl(address: string, origin: string): string | null {
  let url: URL;
  try {
    url = new URL(address, origin);
  } catch {
    return null;
  }
  const match = url.origin === origin ? DATA_URL.exec(url.pathname) : null;
  if (match === null) return null;
  const [, id = "", scope, name = ""] = match;
  try {
    return dataFileUrl(scope === "user" ? null : decodeURIComponent(id), decodeURIComponent(name));
  } catch {
    return null; // invalid percent-encoding
  }
}
