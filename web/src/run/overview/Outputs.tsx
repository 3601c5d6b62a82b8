import { useQuery } from "@tanstack/react-query";

import { dataApi, dataFileUrl } from "@/data/api/data";
import type { DataEntry } from "@/api/schema";
import { FileLink } from "@/components/FileLink";
import { Icon } from "@/components/Icon";
import { followLink, pipelineUrl } from "@/lib/location";
import { bytes } from "@/lib/time";
import { visible } from "@/lib/visible";
import { baseName } from "@/data/model/dataFiles";
import { REPORTS } from "@/results/model/reports";
import shared from "@/run/overview/Overview.module.css";
import styles from "@/run/overview/Outputs.module.css";

const MAX_FILES = 5;

/** The files of a pipeline, without its reports; none while they are loaded. */
export function useFiles(id: string, seq: number, enabled: boolean) {
  return useQuery({
    queryKey: ["overview-files", id, seq],
    queryFn: ({ signal }) => dataApi.list(id, "", null, signal, MAX_FILES + 2),
    select: ({ entries }) => entries.filter(({ name }) => name !== REPORTS),
    enabled,
    staleTime: Infinity,
  });
}

/** The first files of a pipeline. */
export function Files({ id, entries }: { id: string; entries: readonly DataEntry[] }) {
  const data = `${pipelineUrl(id)}/data`;
  return (
    <section className={shared.section}>
      <h3>Files</h3>
      {entries.slice(0, MAX_FILES).map((entry) => (
        <p key={entry.name} className={styles.row}>
          <Icon name={entry.kind === "directory" ? "folder" : "file"} />
          <a href={addressOf(data, entry)} onClick={followLink} className="mono clip">
            {visible(baseName(entry.name))}
            {entry.kind === "directory" ? "/" : ""}
          </a>
          {entry.kind === "file" ? (
            <>
              <span className={`${styles.size} number`}>{bytes(entry.size)}</span>
              <FileLink
                icon
                className={styles.download ?? ""}
                href={dataFileUrl(id, entry.name)}
                label={`Download ${entry.name}`}
              />
            </>
          ) : null}
        </p>
      ))}
      {entries.length > MAX_FILES ? (
        <p className={styles.row}>
          <a href={data} onClick={followLink}>
            All files
          </a>
        </p>
      ) : null}
    </section>
  );
}

function addressOf(data: string, { kind, name }: DataEntry): string {
  return `${data}?${new URLSearchParams(kind === "directory" ? { dir: name } : { file: name }).toString()}`;
}
