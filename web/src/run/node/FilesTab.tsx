import { useQuery } from "@tanstack/react-query";

import { dataApi, dataFileUrl } from "@/data/api/data";
import type { AttemptRecord, DataEntry } from "@/api/schema";
import { EmptyState } from "@/components/EmptyState";
import factsStyles from "@/components/Facts.module.css";
import { FileLink } from "@/components/FileLink";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { followLink, pipelineUrl } from "@/lib/location";
import { bytes, moment } from "@/lib/time";
import { directoryOf } from "@/data/model/dataFiles";
import { isFinished } from "@/run/model/states";
import styles from "@/run/node/FilesTab.module.css";

/** Granularity of file times in seconds; a file may seem older by this much. */
const TICK = 0.02;
const REFRESH_MS = 3000;

interface Props {
  id: string;
  attempt: AttemptRecord | undefined;
}

/** Data files that were modified during an attempt. */
export function FilesTab({ id, attempt }: Props) {
  const started = attempt?.started ?? null;
  const ended = attempt?.ended ?? null;
  const running = attempt !== undefined && !isFinished(attempt.state);
  const files = useQuery({
    queryKey: ["changed-data", id, started, ended],
    queryFn: ({ signal }) => dataApi.changed(id, (started ?? 0) - TICK, ended, signal),
    enabled: started !== null,
    refetchInterval: running ? REFRESH_MS : false,
  });
  if (started === null) {
    return (
      <EmptyState
        icon="file"
        title="Not run yet"
        text="Data files that the command writes appear here while it runs."
        docs="concepts/data"
      />
    );
  }
  if (files.data === undefined) {
    return <QueryPlaceholder query={files} />;
  }
  const { entries, complete } = files.data;
  if (entries.length === 0) {
    return (
      <EmptyState
        icon="file"
        title={running ? "No files yet" : "No files"}
        text={
          complete
            ? "No data file of the pipeline was last modified during this attempt. A command stores files so:"
            : "Of the files that were checked, none was last modified during this attempt."
        }
        example="conducto-data-pipeline put models/model.bin out/model.bin"
        docs="concepts/data"
      />
    );
  }
  return (
    <div className={styles.files}>
      <p className="muted">
        Data files of the pipeline last modified during attempt {attempt?.number}. Other commands
        that ran at the same time may have written them.
        {complete ? "" : " Not all files could be checked."}
      </p>
      <table className={`${factsStyles.table} ${styles.table}`}>
        <thead>
          <tr>
            <th>File</th>
            <th>Size</th>
            <th>Modified</th>
            <th>
              <span className="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <FileRow key={entry.name} id={id} entry={entry} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function FileRow({ id, entry }: { id: string; entry: DataEntry }) {
  const { name } = entry;
  const place = new URLSearchParams({ dir: directoryOf(name), file: name });
  return (
    <tr>
      <th scope="row" className="mono">
        <a href={`${pipelineUrl(id)}/data?${place}`} onClick={followLink}>
          {name}
        </a>
      </th>
      <td className="number">{bytes(entry.size)}</td>
      <td className="number muted">{moment(entry.modified)}</td>
      <td>
        <FileLink href={dataFileUrl(id, name)} label={`Download ${name}`} />
      </td>
    </tr>
  );
}
