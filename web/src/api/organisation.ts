/** The organisation: members, invitations, tokens, sessions, audit log, plan. Cloud only. */

import { apiUrl, FROM_APP, get, post, sendInSession } from "@/api/client";
import type {
  AuditPage,
  BillingPage,
  BillingStatus,
  CreatedToken,
  Invitation,
  InvitationLink,
  InvitationList,
  Member,
  MemberList,
  MemberRemoved,
  MemberTokenList,
  operations,
  OrganisationList,
  Role,
  TokensRevoked,
} from "@/api/schema";

type BodyOf<Name extends keyof operations> = operations[Name] extends {
  requestBody: { content: { "application/json": infer Body } };
}
  ? Body
  : never;

async function write<T>(method: "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
  const response = await sendInSession(apiUrl(path), {
    method,
    headers: {
      ...FROM_APP,
      "Idempotency-Key": crypto.randomUUID(),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await response.json()) as T;
}

function below(path: string, part: string): string {
  return `${path}/${encodeURIComponent(part)}`;
}

export const organisationApi = {
  organisations: (signal?: AbortSignal) => get<OrganisationList>("/orgs", {}, signal),
  members: (signal?: AbortSignal) => get<MemberList>("/members", {}, signal),
  changeRole: (user: string, role: Role) => write<Member>("PUT", below("/members", user), { role }),
  removeMember: (user: string) => write<MemberRemoved>("DELETE", below("/members", user)),
  leave: () => write<MemberRemoved>("DELETE", "/membership"),
  invitations: (signal?: AbortSignal) => get<InvitationList>("/invitations", {}, signal),
  invite: (body: BodyOf<"create_invitation">) => post<InvitationLink>("/invitations", body),
  withdraw: (id: string) => write<Invitation>("DELETE", below("/invitations", id)),
  tokens: (everyone: boolean, signal?: AbortSignal) =>
    get<MemberTokenList>("/tokens", { everyone }, signal),
  createToken: (body: BodyOf<"create_token">) => post<CreatedToken>("/tokens", body),
  revokeToken: (id: string) => write<TokensRevoked>("DELETE", below("/tokens", id)),
  sessions: (everyone: boolean, signal?: AbortSignal) =>
    get<MemberTokenList>("/sessions", { everyone }, signal),
  endSession: (id: string) => write<TokensRevoked>("DELETE", below("/sessions", id)),
  endSessions: () => post<TokensRevoked>("/sessions/end"),
  audit: (
    query: { after?: string | undefined; user?: string; operation?: string },
    signal?: AbortSignal,
  ) => get<AuditPage>("/audit", query, signal),
  billing: (signal?: AbortSignal) => get<BillingStatus>("/billing", {}, signal),
  checkout: () => post<BillingPage>("/billing/checkout"),
  portal: () => post<BillingPage>("/billing/portal"),
  setLimit: (dollars: number | null, grace: number) =>
    write<BillingStatus>("PUT", "/billing/limit", { dollars, grace_minutes: grace }),
};
