import { useQuery } from "@tanstack/react-query";

import { programApi } from "@/programs/api/programs";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { useTitle } from "@/components/useTitle";
import { useLocation } from "@/lib/location";
import { EMPTY, fieldsOfCall, fieldsOfLaunch } from "@/programs/model/gitLaunch";
import { GitLaunchForm, type Origin } from "@/programs/launch/GitLaunchForm";

const NOTHING: Origin = { fields: EMPTY, call: null };

/** The form that launches a script of a Git repository; `?from=ID` fills it in. */
export function GitLaunchPage() {
  const { query } = useLocation();
  const from = query.get("from");
  useTitle("Launch from Git");
  const form = useQuery({
    queryKey: ["git-launch", from],
    queryFn: ({ signal }) => (from === null ? NOTHING : originOf(from, signal)),
    staleTime: Infinity, // the form keeps what the user typed
    gcTime: 0,
  });
  if (form.data !== undefined) return <GitLaunchForm key={from} origin={form.data} />;
  return (
    <PageStatus error={form.error}>
      <QueryPlaceholder query={form} rows={8} />
    </PageStatus>
  );
}

/** What the form starts with: the call that made a pipeline, or the form that launched it. */
async function originOf(id: string, signal: AbortSignal): Promise<Origin> {
  const { call } = await programApi.program(id, signal);
  if (call !== null) return { fields: fieldsOfCall(call), call };
  return { fields: fieldsOfLaunch(await programApi.definition(id, signal)), call: null };
}
