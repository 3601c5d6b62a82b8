import { useQuery } from "@tanstack/react-query";

import { messageOf } from "@/api/client";
import { dataApi, dataFile } from "@/api/data";
import type { AttemptRecord, DataEntry } from "@/api/schema";
import { Empty, Failure } from "@/components/Empty";
import { FileLink } from "@/components/FileLink";
import { Loading } from "@/components/Loading";
import { followLink } from "@/lib/location";
import { bytes, moment } from "@/lib/time";
import { directoryOf } from "@/model/dataFiles";
import { isFinished } from "@/model/states";

/** A file's time is that of the clock's last tick, up to so many seconds ago. */
const TICK = 0.02;
const REFRESH_MS = 3000;

interface Props {
  id: string;
  attempt: AttemptRecord | undefined;
}

/** Files of the pipeline's data that were written while an attempt ran. */
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
  if (started === null) return <Empty title="It has not run yet" />;
  if (files.data === undefined) {
    return files.error === null ? (
      <Loading />
    ) : (
      <Failure message={messageOf(files.error)} onRetry={() => void files.refetch()} />
    );
  }
  const { entries, complete } = files.data;
  if (entries.length === 0) {
    return (
      <Empty title={running ? "No files so far" : "No files"}>
        <p className="muted">
          {complete
            ? "No file of the pipeline’s data was written last while it ran."
            : "Among the files that were looked at, none was written last while it ran."}
        </p>
      </Empty>
    );
  }
  return (
    <div className="files">
      <p className="muted">
        Files of the pipeline’s data that were written last while attempt {attempt?.number} ran;
        what ran at the same time may have written them, too.
        {complete ? "" : " There are more than could be looked at."}
      </p>
      <table className="facts files-table">
        <thead>
          <tr>
            <th>File</th>
            <th>Size</th>
            <th>Written</th>
            <th>
              <span className="sr-only">Orders</span>
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
        <a href={`/p/${encodeURIComponent(id)}/data?${place}`} onClick={followLink}>
          {name}
        </a>
      </th>
      <td className="number">{bytes(entry.size)}</td>
      <td className="number muted">{moment(entry.modified)}</td>
      <td>
        <FileLink href={dataFile(id, name)} label={`Download ${name}`} />
      </td>
    </tr>
  );
}
