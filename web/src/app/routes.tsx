/** The pages of the app, and where they live. A new page is one more row here. */

import { lazy, type ComponentType } from "react";

import { IN_CLOUD } from "@/api/side";
import type { PageProps } from "@/lib/location";
import { PipelinePage } from "@/pages/pipeline/PipelinePage";
import { PipelinesPage } from "@/pages/pipelines/PipelinesPage";

export interface PageRoute {
  path: string;
  /** Its word in the top bar; pages without one are reached from others. */
  nav?: string;
  /** Whether it is of the cloud alone, or of a person's machine; else of both. */
  inCloud?: boolean;
  page: ComponentType<PageProps>;
}

// Pages that are fetched when they are opened. Of the list and the tree, which people come for,
// neither is: fetching them with the app is a request less.
const ImagesPage = lazy(async () => ({
  default: (await import("@/pages/images/ImagesPage")).ImagesPage,
}));
const DataPage = lazy(async () => ({
  default: (await import("@/pages/data/DataPage")).DataPage,
}));
const UserDataPage = lazy(async () => ({
  default: (await import("@/pages/data/UserDataPage")).UserDataPage,
}));
const TimelinePage = lazy(async () => ({
  default: (await import("@/pages/timeline/TimelinePage")).TimelinePage,
}));
const SecretsPage = lazy(async () => ({
  default: (await import("@/pages/secrets/SecretsPage")).SecretsPage,
}));
const AgentPage = lazy(async () => ({
  default: (await import("@/pages/agent/AgentPage")).AgentPage,
}));
const AccountPage = lazy(async () => ({
  default: (await import("@/pages/account/AccountPage")).AccountPage,
}));
const SettingsPage = lazy(async () => ({
  default: (await import("@/pages/settings/SettingsPage")).SettingsPage,
}));

const PAGES: readonly PageRoute[] = [
  { path: "/", nav: "Pipelines", page: PipelinesPage },
  { path: "/p/{id}", page: PipelinePage },
  { path: "/p/{id}/timeline", page: TimelinePage },
  { path: "/p/{id}/images", page: ImagesPage },
  { path: "/p/{id}/data", page: DataPage },
  { path: "/data", nav: "Data", page: UserDataPage },
  { path: "/secrets", nav: "Secrets", page: SecretsPage },
  { path: "/agent", nav: "Agent", page: AgentPage, inCloud: false },
  { path: "/account", nav: "Account", page: AccountPage, inCloud: true },
  { path: "/settings", nav: "Settings", page: SettingsPage },
];

/** The pages that this side has. */
export const ROUTES = PAGES.filter(({ inCloud }) => inCloud === undefined || inCloud === IN_CLOUD);

/** The route of a path of the address, with the values of its braces. */
export function findRoute(
  path: string,
): { route: PageRoute; params: Record<string, string> } | null {
  const segments = path.split("/");
  for (const route of ROUTES) {
    const params = match(route.path.split("/"), segments);
    if (params !== null) return { route, params };
  }
  return null;
}

function match(template: string[], segments: string[]): Record<string, string> | null {
  if (template.length !== segments.length) return null;
  const params: Record<string, string> = {};
  for (const [index, expected] of template.entries()) {
    const given = segments[index] ?? "";
    if (expected.startsWith("{")) params[expected.slice(1, -1)] = decoded(given);
    else if (expected !== given) return null;
  }
  return params;
}

/** A part of an address as it is meant; one that means nothing stays as it is. */
function decoded(given: string): string {
  try {
    return decodeURIComponent(given);
  } catch {
    return given;
  }
}
