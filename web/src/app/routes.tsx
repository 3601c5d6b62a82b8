/** The pages of the app and their paths. */

import type { ComponentType } from "react";

import { IN_CLOUD } from "@/api/deployment";
import type { IconName } from "@/components/Icon";
import { lazily } from "@/components/lazily";
import { machineIn, type PageProps } from "@/lib/location";
import { referenceTo } from "@/lib/references";
import { PipelinePage } from "@/run/page/PipelinePage";

export interface PageRoute {
  path: string;
  /** The link in the navigation; pages without one are linked from other pages. */
  nav?: { label: string; icon: IconName };
  /** True for the cloud only, false for the agent only, undefined for both. */
  cloud?: boolean;
  /** True for pages that people without a session can open. */
  open?: boolean;
  page: ComponentType<PageProps>;
}

// The tree is part of the main script, because most links lead to it. The other pages are loaded
// on demand.
const PipelinesPage = page(async () => (await import("@/run/list/PipelinesPage")).PipelinesPage);
const ActivityPage = page(async () => (await import("@/activity/ActivityPage")).ActivityPage);
const SchedulesPage = page(async () => (await import("@/schedules/SchedulesPage")).SchedulesPage);
const SchedulePage = page(async () => (await import("@/schedules/SchedulePage")).SchedulePage);
const TriggersPage = page(async () => (await import("@/triggers/TriggersPage")).TriggersPage);
const TriggerPage = page(async () => (await import("@/triggers/TriggerPage")).TriggerPage);
const NotificationsPage = page(
  async () => (await import("@/notifications/NotificationsPage")).NotificationsPage,
);
const TestsPage = page(async () => (await import("@/test_results/TestsPage")).TestsPage);
const ImagesPage = page(async () => (await import("@/images/ImagesPage")).ImagesPage);
const DataPage = page(async () => (await import("@/data/DataPage")).DataPage);
const UserDataPage = page(async () => (await import("@/data/UserDataPage")).UserDataPage);
const TimelinePage = page(async () => (await import("@/run/timeline/TimelinePage")).TimelinePage);
const SecretsPage = page(async () => (await import("@/secrets/SecretsPage")).SecretsPage);
const AgentPage = page(async () => (await import("@/remote/agent/AgentPage")).AgentPage);
const AgentsPage = page(async () => (await import("@/remote/AgentsPage")).AgentsPage);
const AccountPage = page(async () => (await import("@/people/account/AccountPage")).AccountPage);
const LaunchPage = page(async () => (await import("@/programs/launch/LaunchPage")).LaunchPage);
const GitLaunchPage = page(
  async () => (await import("@/programs/launch/GitLaunchPage")).GitLaunchPage,
);
const ProgramPage = page(async () => (await import("@/programs/ProgramPage")).ProgramPage);
const SignedInPage = page(async () => (await import("@/people/signin/SignedInPage")).SignedInPage);
const MembersPage = page(async () => (await import("@/people/MembersPage")).MembersPage);
const AuditPage = page(async () => (await import("@/people/AuditPage")).AuditPage);
const PlanPage = page(async () => (await import("@/billing/PlanPage")).PlanPage);
const InvitationPage = page(
  async () => (await import("@/people/signin/InvitationPage")).InvitationPage,
);
const CliPage = page(async () => (await import("@/people/signin/CliPage")).CliPage);
const SettingsPage = page(async () => (await import("@/app/settings/SettingsPage")).SettingsPage);

function page(load: () => Promise<ComponentType<PageProps>>): ComponentType<PageProps> {
  return lazily(load, { placeholder: null });
}

const PAGES: readonly PageRoute[] = [
  { path: "/", nav: { label: "Pipelines", icon: "list" }, page: PipelinesPage },
  { path: "/activity", nav: { label: "Activity", icon: "activity" }, page: ActivityPage },
  { path: "/p/{id}", page: PipelinePage },
  { path: "/p/{id}/timeline", page: TimelinePage },
  { path: "/p/{id}/tests", page: TestsPage },
  { path: "/p/{id}/images", page: ImagesPage },
  { path: "/p/{id}/data", page: DataPage },
  { path: "/p/{id}/launch", page: LaunchPage },
  { path: "/launch", page: GitLaunchPage, cloud: true },
  { path: "/program", page: ProgramPage },
  { path: "/schedules", nav: { label: "Schedules", icon: "clock" }, page: SchedulesPage },
  { path: "/schedules/{name}", page: SchedulePage },
  {
    path: "/triggers",
    nav: { label: "Triggers", icon: "branch" },
    page: TriggersPage,
    cloud: true,
  },
  { path: "/triggers/{name}", page: TriggerPage, cloud: true },
  {
    path: "/notifications",
    nav: { label: "Notifications", icon: "bell" },
    page: NotificationsPage,
  },
  { path: "/data", nav: { label: "Data", icon: "data" }, page: UserDataPage },
  { path: "/secrets", nav: { label: "Secrets", icon: "key" }, page: SecretsPage },
  {
    path: "/agent",
    nav: { label: "Agent", icon: "server" },
    page: AgentPage,
    cloud: false,
  },
  {
    path: "/agents",
    nav: { label: "Agents", icon: "server" },
    page: AgentsPage,
    cloud: true,
  },
  {
    path: "/organisation",
    nav: { label: "Organisation", icon: "people" },
    page: MembersPage,
    cloud: true,
  },
  { path: "/organisation/audit", page: AuditPage, cloud: true },
  { path: "/organisation/usage", page: PlanPage, cloud: true },
  { path: "/organisation/plan", page: PlanPage, cloud: true },
  {
    path: "/account",
    nav: { label: "Account", icon: "person" },
    page: AccountPage,
    cloud: true,
  },
  { path: "/signed-in", page: SignedInPage, cloud: true, open: true },
  { path: "/invitation", page: InvitationPage, cloud: true, open: true },
  { path: "/cli", page: CliPage, cloud: true, open: true },
  { path: "/settings", nav: { label: "Settings", icon: "settings" }, page: SettingsPage },
];

export const ROUTES = PAGES.filter(({ cloud }) => cloud === undefined || cloud === IN_CLOUD);

/** The route of a path, with the values of its parameters. */
export function findRoute(
  path: string,
): { route: PageRoute; params: Record<string, string> } | null {
  const { agent, rest } = machineIn(path);
  const segments = rest.split("/");
  for (const route of ROUTES) {
    const params = match(route.path.split("/"), segments);
    if (params !== null) return { route, params: withAgent(params, agent) };
  }
  return null;
}

function withAgent(params: Record<string, string>, agent: string | null) {
  return agent === null || params.id === undefined
    ? params
    : { ...params, id: referenceTo(decode(agent), params.id) };
}

function match(template: string[], segments: string[]): Record<string, string> | null {
  if (template.length !== segments.length) return null;
  const params: Record<string, string> = {};
  for (const [index, expected] of template.entries()) {
    const given = segments[index] ?? "";
    if (expected.startsWith("{")) params[expected.slice(1, -1)] = decode(given);
    else if (expected !== given) return null;
  }
  return params;
}

/** Decode a path segment; return it unchanged if its encoding is invalid. */
function decode(given: string): string {
  try {
    return decodeURIComponent(given);
  } catch {
    return given;
  }
}
