/** Addresses of the documentation. */

/** The address of a page such as `concepts/tests`; null if the app was built without a site. */
export function docsUrl(page: string, site: string = __DOCS__): string | null {
  return site === "" ? null : `${site.replace(/\/$/, "")}/${page}/`;
}
