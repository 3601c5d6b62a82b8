/** Calls on schedules. */

import { get, post, write } from "@/api/client";
import type {
  Firing,
  FiringList,
  NewSchedule,
  PayloadView,
  ScheduleDeleted,
  ScheduleList,
  ScheduleView,
  TimesView,
} from "@/api/schema";

const path = (name: string, rest = "") => `/schedules/${encodeURIComponent(name)}${rest}`;

export const schedulesApi = {
  list: (signal?: AbortSignal) => get<ScheduleList>("/schedules", {}, signal),
  find: (name: string, signal?: AbortSignal) => get<ScheduleView>(path(name), {}, signal),
  firings: (name: string, limit: number, signal?: AbortSignal) =>
    get<FiringList>(path(name, "/firings"), { limit }, signal),
  times: (cron: string, zone: string, signal?: AbortSignal) =>
    get<TimesView>("/schedule-times", { cron, zone }, signal),
  create: (request: Partial<NewSchedule>) => post<ScheduleView>("/schedules", request),
  pause: (name: string) => post<ScheduleView>(path(name, "/pause")),
  resume: (name: string) => post<ScheduleView>(path(name, "/resume")),
  fire: (name: string) => post<Firing>(path(name, "/fire")),
  payload: (name: string, firing: string, signal?: AbortSignal) =>
    get<PayloadView>(path(name, `/firings/${encodeURIComponent(firing)}/payload`), {}, signal),
  replay: (name: string, firing: string) =>
    post<Firing>(path(name, `/firings/${encodeURIComponent(firing)}/replay`)),
  remove: (name: string) => write<ScheduleDeleted>("DELETE", path(name)),
};
