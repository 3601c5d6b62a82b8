/** Calls on the rules that send notifications. */

import { get, post, write } from "@/api/client";
import type { NotificationRule, RuleList, RuleRequest, RuleTest } from "@/api/schema";

const path = (name: string, rest = "") => `/notification-rules/${encodeURIComponent(name)}${rest}`;

export const rulesApi = {
  list: (signal?: AbortSignal) => get<RuleList>("/notification-rules", {}, signal),
  put: (name: string, request: Partial<RuleRequest>) =>
    write<NotificationRule>("PUT", path(name), request),
  test: (name: string) => post<RuleTest>(path(name, "/test")),
  remove: (name: string) => write<NotificationRule>("DELETE", path(name)),
};
