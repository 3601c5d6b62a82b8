import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import type { AttemptRecord } from "@/api/schema";
import { Code } from "@/components/Code";
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
        <p>The services have printed nothing yet.</p>
      ) : (
        <Code text={text} label="output of services" />
      )}
    </section>
  );
}
