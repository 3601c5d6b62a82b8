/** The link to a page for other people. */

/** Parameters that say how the sender views the page. */
const PERSONAL = ["open", "closed", "view"];

/** The URL of a page with its node, attempt and lines, without how the sender views it. */
export function sharedUrl(href: string): string {
  const url = new URL(href);
  for (const name of PERSONAL) url.searchParams.delete(name);
  url.hash = "";
  return url.href;
}
