import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import type { PipelineSummary } from "@/api/schema";
import { ActorLabel } from "@/components/ActorLabel";
import { followLink, pipelineUrl } from "@/lib/location";
import { moment } from "@/lib/time";
import { visible } from "@/lib/visible";
import { organisationApi } from "@/people/api/organisation";
import { programActions } from "@/programs/model/programActions";
import styles from "@/programs/ProgramPage.module.css";

const REFRESH_MS = 30_000;

/** The last launches of a program and, for administrators, the last actions of people and assistants. */
export function ProgramActions({ pipelines }: { pipelines: readonly PipelineSummary[] }) {
  const who = useQuery({
    queryKey: ["whoami"],
    queryFn: ({ signal }) => api.whoAmI(signal),
    enabled: IN_CLOUD,
  });
  const log = useQuery({
    queryKey: ["audit", "program"],
    queryFn: ({ signal }) => organisationApi.audit({}, signal),
    enabled: who.data?.permissions.includes("manage_organisation") === true,
    refetchInterval: REFRESH_MS,
  });
  const actions = programActions(pipelines, log.data?.entries ?? []);
  return (
    <section aria-labelledby="actions">
      <div className={styles.head}>
        <h2 id="actions">Launches and actions</h2>
      </div>
      <ul className={`card ${styles.programActions ?? ""}`}>
        {actions.map(({ key, time, who: person, assistant, what, pipeline }) => (
          <li key={key}>
            <span>
              <strong>
                <ActorLabel actor={{ user: person, assistant }} />
              </strong>{" "}
              {visible(what)}{" "}
              <a className="mono" href={pipelineUrl(pipeline)} onClick={followLink}>
                {pipeline}
              </a>
            </span>
            <span className={`number ${styles.note ?? ""}`}>{moment(time)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
