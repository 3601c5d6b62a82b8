/** The filter of the list. It is in the URL, so that it can be shared and saved. */

import type { ListQuery } from "@/api/client";
import type { Member, PipelineSummary, State } from "@/api/schema";
import { STATES } from "@/run/model/states";

export type Lifecycle = NonNullable<ListQuery["lifecycle"]>;
export const LIFECYCLES: readonly Lifecycle[] = ["listed", "active", "sleeping", "archived", "all"];
/** Days since the launch. */
export const PERIODS = ["1", "7", "30"] as const;
export type Period = (typeof PERIODS)[number];
const DAY = 86_400;

export interface Filter {
  text?: string;
  state?: State;
  tag?: string;
  owner?: string;
  lifecycle?: Lifecycle;
}

export function filterOf(query: URLSearchParams): Filter {
  const text = query.get("text");
  const tag = query.get("tag");
  const owner = query.get("owner");
  const state = STATES.find((one) => one === query.get("state"));
  const lifecycle = LIFECYCLES.find((one) => one === query.get("lifecycle"));
  return {
    ...(text === null ? {} : { text }),
    ...(tag === null ? {} : { tag }),
    ...(owner === null ? {} : { owner }),
    ...(state === undefined ? {} : { state }),
    ...(lifecycle === undefined ? {} : { lifecycle }),
  };
}

/** The API has no filter by time; the page applies it. */
export function periodOf(query: URLSearchParams): Period | null {
  return PERIODS.find((one) => one === query.get("days")) ?? null;
}

/** The earliest launch of a period, in seconds since the epoch. */
export function startOf(period: Period | null, now: number): number | null {
  return period === null ? null : now - Number(period) * DAY;
}

/** The owners that the filter suggests: those of the loaded pipelines, and all members. */
export function ownersOf(
  pipelines: readonly PipelineSummary[],
  members: readonly Pick<Member, "user">[],
): string[] {
  const owners = pipelines.map((one) => one.pipeline.owner).filter((owner) => owner !== "");
  return [...new Set([...owners, ...members.map(({ user }) => user)])].toSorted();
}

/** Removes every part of the filter. */
export const NO_FILTER = {
  text: null,
  state: null,
  tag: null,
  owner: null,
  lifecycle: null,
  days: null,
};
