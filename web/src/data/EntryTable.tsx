import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";

import type { DataEntry } from "@/api/schema";
import { Button } from "@/components/Button";
import { FileLink } from "@/components/FileLink";
import { Icon } from "@/components/Icon";
import { setQuery } from "@/lib/location";
import { bytes, moment } from "@/lib/time";
import { baseName } from "@/data/model/dataFiles";
import styles from "@/data/EntryTable.module.css";

const ROW = 34;

interface Props {
  entries: readonly DataEntry[];
  /** Name of the open file. */
  opened: string | null;
  /** The download URL of a file. */
  urlOf: (name: string) => string;
  onDelete: (entry: DataEntry) => void;
}

/** The entries of a directory, virtualised. */
export function EntryTable({ entries, opened, urlOf, onDelete }: Props) {
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: entries.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  return (
    <div ref={scroll} className={styles.scroll} tabIndex={-1}>
      <div
        className={styles.rows}
        role="list"
        aria-label="Entries"
        style={{ height: virtual.getTotalSize() }}
      >
        {virtual.getVirtualItems().map((item) => {
          const entry = entries[item.index];
          return entry === undefined ? null : (
            <div
              key={entry.name}
              role="listitem"
              className={`${styles.row} ${entry.name === opened ? styles.open : ""}`}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <Name entry={entry} />
              <span className={`${styles.size} muted number`}>
                {entry.kind === "file" ? bytes(entry.size) : ""}
              </span>
              <span className={`${styles.time} muted number`}>{moment(entry.modified)}</span>
              <span className={styles.actions}>
                {entry.kind === "file" ? (
                  <FileLink
                    className="button button-quiet"
                    href={urlOf(entry.name)}
                    icon
                    label={`Download ${entry.name}`}
                  />
                ) : null}
                <Button
                  variant="quiet"
                  className="button-danger"
                  aria-label={`Delete ${entry.name}`}
                  title={`Delete ${entry.name}`}
                  onClick={() => onDelete(entry)}
                >
                  <Icon name="trash" />
                </Button>
              </span>
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Name({ entry }: { entry: DataEntry }) {
  const label = baseName(entry.name);
  if (entry.kind === "other") {
    return (
      <span className={`${styles.name} clip muted`} title={`${label}: links can only be deleted`}>
        {label} <span className="tag">link</span>
      </span>
    );
  }
  const isFile = entry.kind === "file";
  return (
    <button
      type="button"
      className={`${styles.name} clip`}
      title={label}
      onClick={() => setQuery(isFile ? { file: entry.name } : { dir: entry.name, file: null })}
    >
      <Icon name={isFile ? "file" : "folder"} />
      {label}
      {isFile ? "" : "/"}
    </button>
  );
}
