import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { AttemptRecord } from "@/api/schema";
import { Code } from "@/components/Code";
import { EmptyState } from "@/components/EmptyState";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StaleBadge } from "@/components/StaleBadge";
import { isFinished } from "@/run/model/states";
import styles from "@/results/ResultsTab.module.css";

const REFRESH_MS = 3000;

interface Props {
  id: string;
  attempt: AttemptRecord;
  services: string[];
}

/** The output of the services beside the command of an attempt. */
export function ServicesTab({ id, attempt: { path, number, state }, services }: Props) {
  const output = useQuery({
    queryKey: ["services", id, path, number, state],
    queryFn: ({ signal }) => api.services(id, { path, attempt: number }, signal),
    refetchInterval: isFinished(state) ? false : REFRESH_MS,
    placeholderData: keepPreviousData,
  });
  const text = output.data?.text ?? "";
  return (
    <section className={styles.results}>
      <p className="muted">
        {services.join(", ")}{" "}
        {isFinished(state) ? null : <StaleBadge query={output} every={REFRESH_MS} />}
      </p>
      {output.data === undefined ? (
        <QueryPlaceholder query={output} rows={4} />
      ) : text === "" ? (
        <EmptyState
          icon="server"
          title={isFinished(state) ? "The services printed nothing" : "No output of services yet"}
          text="Services run beside the command, such as a database. What they print appears here, and in the output of the group with their names."
          example={'co.Exec("pytest", services={"db": co.Service("postgres:16", port=5432)})'}
          docs="concepts/services"
        />
      ) : (
        <Code text={text} label="output of services" />
      )}
    </section>
  );
}
