/** The organisation: members, invitations, tokens, sessions, audit log, plan. Cloud only. */

import { get, post, write } from "@/api/client";
import type {
  AuditPage,
  BillingPage,
  BillingStatus,
  CreatedToken,
  Invitation,
  InvitationLink,
  InvitationList,
  MemberList,
  MemberChanged,
  MemberRemoved,
  MemberTokenList,
  OwnedRecord,
  operations,
  Role,
  TokensRevoked,
} from "@/api/schema";

type BodyOf<Name extends keyof operations> = operations[Name] extends {
  requestBody: { content: { "application/json": infer Body } };
}
  ? Body
  : never;

function below(path: string, part: string): string {
  return `${path}/${encodeURIComponent(part)}`;
}

export const organisationApi = {
  members: (signal?: AbortSignal) => get<MemberList>("/members", {}, signal),
  changeRole: (user: string, role: Role) =>
    write<MemberChanged>("PUT", below("/members", user), { role }),
  removeMember: (user: string) => write<MemberRemoved>("DELETE", below("/members", user)),
  leave: () => write<MemberRemoved>("DELETE", "/membership"),
  takeOver: (kind: OwnedRecord["kind"], name: string) =>
    post<OwnedRecord>(below(`/suspended/${kind}`, name)),
  invitations: (signal?: AbortSignal) => get<InvitationList>("/invitations", {}, signal),
  invite: (body: BodyOf<"create_invitation">) => post<InvitationLink>("/invitations", body),
  withdraw: (id: string) => write<Invitation>("DELETE", below("/invitations", id)),
  tokens: (signal?: AbortSignal) => get<MemberTokenList>("/tokens", {}, signal),
  createToken: (body: BodyOf<"create_token">) => post<CreatedToken>("/tokens", body),
  revokeToken: (id: string) => write<TokensRevoked>("DELETE", below("/tokens", id)),
  sessions: (signal?: AbortSignal) => get<MemberTokenList>("/sessions", {}, signal),
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
