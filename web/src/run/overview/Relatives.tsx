import type { PipelineRecord, PipelineSummary } from "@/api/schema";
import { Pending } from "@/components/InOrder";
import { StateIcon } from "@/components/StateIcon";
import { followLink, pipelineUrl } from "@/lib/location";
import { visible } from "@/lib/visible";
import { MAX_CHILDREN, useRelatives } from "@/run/live/useRelatives";
import { displayState } from "@/run/model/states";
import shared from "@/run/overview/Overview.module.css";
import styles from "@/run/overview/Relatives.module.css";

/** The attempt or the pipeline that a pipeline comes from, and those that its commands launched. */
export function Relatives({ summary }: { summary: PipelineSummary }) {
  const { parent, copy_of: original } = summary.pipeline;
  const found = useRelatives(summary.started === null ? undefined : summary, true);
  if (found.isLoading) return <Pending />;
  const children = found.data?.pipelines ?? [];
  if (parent === null && original === null && children.length === 0) return null;
  return (
    <section className={shared.section}>
      {parent === null ? null : <Parent parent={parent} />}
      {original === null ? null : (
        <p>
          Launched again from{" "}
          <a href={pipelineUrl(original)} onClick={followLink}>
            {original}
          </a>
        </p>
      )}
      {children.length === 0 ? null : (
        <>
          <h3>Launched by its commands</h3>
          <ul className={styles.list} aria-label="Launched by its commands">
            {children.map((child) => (
              <Child key={child.pipeline.id} child={child} />
            ))}
          </ul>
          {found.data?.next == null ? null : (
            <p className={shared.note}>{`the newest ${MAX_CHILDREN}`}</p>
          )}
        </>
      )}
    </section>
  );
}

function Parent({ parent }: { parent: NonNullable<PipelineRecord["parent"]> }) {
  return (
    <p>
      Launched by{" "}
      <a href={pipelineUrl(parent.pipeline, parent.path)} onClick={followLink}>
        {`${visible(parent.path)} of ${parent.pipeline}`}
      </a>
      <span className={styles.attempt}>{`attempt ${parent.attempt}`}</span>
    </p>
  );
}

function Child({ child }: { child: PipelineSummary }) {
  const { id, title, parent } = child.pipeline;
  return (
    <li>
      <StateIcon state={displayState({ ...child, skipped: false })} label />
      <a href={pipelineUrl(id)} onClick={followLink} className="clip">
        {visible(title)}
      </a>
      <span className={`${shared.note ?? ""} clip`}>
        {id}
        {parent === null ? "" : ` · ${visible(parent.path)}`}
      </span>
    </li>
  );
}
