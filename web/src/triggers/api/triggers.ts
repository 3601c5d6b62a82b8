/** Calls on git triggers, and on the GitHub App of the organisation. */

import { get, post, write } from "@/api/client";
import type {
  Delivery,
  DeliveryList,
  GithubAppView,
  NewTrigger,
  TrialResult,
  TriggerList,
  TriggerRequest,
} from "@/api/schema";

const path = (name: string, rest = "") => `/triggers/${encodeURIComponent(name)}${rest}`;

export const triggersApi = {
  list: (signal?: AbortSignal) => get<TriggerList>("/triggers", {}, signal),
  app: (signal?: AbortSignal) => get<GithubAppView>("/github-app", {}, signal),
  deliveries: (name: string, signal?: AbortSignal) =>
    get<DeliveryList>(path(name, "/deliveries"), {}, signal),
  put: (name: string, request: Partial<TriggerRequest>) =>
    write<NewTrigger>("PUT", path(name), request),
  test: (name: string, branch: string) => post<TrialResult>(path(name, "/test"), { branch }),
  approve: (name: string, delivery: string) =>
    post<Delivery>(path(name, `/deliveries/${encodeURIComponent(delivery)}/approve`)),
  remove: (name: string) => write<TriggerList>("DELETE", path(name)),
};
