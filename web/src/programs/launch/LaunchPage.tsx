import { useQuery } from "@tanstack/react-query";

import { programApi } from "@/programs/api/programs";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { useTitle } from "@/components/useTitle";
import type { PageProps } from "@/lib/location";
import { LaunchForm } from "@/programs/launch/LaunchForm";
import { SameTree } from "@/programs/launch/SameTree";

/** The form that launches the program of a pipeline again, with other parameters. */
export function LaunchPage({ params }: PageProps) {
  const id = params.id ?? "";
  const program = useQuery({
    queryKey: ["program-of", id],
    queryFn: ({ signal }) => programApi.program(id, signal),
    staleTime: Infinity, // the form keeps what the user typed
    gcTime: 0,
  });
  const { data } = program;
  useTitle(`Launch again: ${data?.pipeline.pipeline.title ?? id}`);
  if (data === undefined) {
    return (
      <PageStatus error={program.error}>
        <QueryPlaceholder query={program} rows={8} />
      </PageStatus>
    );
  }
  const { call, problem } = data;
  if (call === null || problem !== null) return <SameTree program={data} />;
  return <LaunchForm key={data.pipeline.pipeline.id} program={data} call={call} />;
}
