import { useState } from "react";

import { dataApi, dataFileUrl } from "@/data/api/data";
import type { DataEntry } from "@/api/schema";
import { Button } from "@/components/Button";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { EmptyState } from "@/components/EmptyState";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { setQuery, useLocation } from "@/lib/location";
import { baseName, crumbsOf } from "@/data/model/dataFiles";
import styles from "@/data/DataBrowser.module.css";
import { EntryTable } from "@/data/EntryTable";
import { Preview } from "@/data/Preview";
import { useEntries } from "@/data/useEntries";
import { type UploadProgress, useUploads } from "@/data/useUploads";
import { bytes } from "@/lib/time";
import uploadStyles from "@/data/UploadStatus.module.css";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";

/** Browse, download, upload and delete data of a pipeline, or of the user if `id` is null. */
export function DataBrowser({ id }: { id: string | null }) {
  const { query } = useLocation();
  const directory = query.get("dir") ?? "";
  const file = query.get("file");
  const { list, entries } = useEntries(id, directory);
  const [deleting, setDeleting] = useState<DataEntry | null>(null);
  const uploads = useUploads(id, directory, entries);
  const [dragging, setDragging] = useState(false);
  const browser = (
    <>
      <div
        className={`${styles.data} ${file === null ? "" : styles.file} ${dragging ? styles.over : ""}`}
        onDragOver={(event) => {
          if (!event.dataTransfer.types.includes("Files")) return;
          event.preventDefault();
          setDragging(true);
        }}
        onDragLeave={(event) => {
          if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setDragging(false);
        }}
        onDrop={(event) => {
          event.preventDefault();
          setDragging(false);
          uploads.choose(event.dataTransfer.files);
        }}
      >
        <section className={styles.list} aria-label="Files">
          <div className={styles.bar}>
            <Crumbs id={id} directory={directory} />
            <span className="page-grow" />
            <UploadButton busy={uploads.progress !== null} onFiles={uploads.choose} />
          </div>
          {uploads.progress === null ? null : (
            <UploadStatus progress={uploads.progress} onStop={uploads.stop} />
          )}
          {list.data === undefined ? (
            <QueryPlaceholder key={directory} query={list} />
          ) : entries.length === 0 ? (
            <NoFiles id={id} directory={directory} />
          ) : (
            <EntryTable
              entries={entries}
              opened={file}
              urlOf={(name) => dataFileUrl(id, name)}
              onDelete={setDeleting}
            />
          )}
          {list.hasNextPage ? (
            <p className="page-note">
              <Button disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                Show more
              </Button>
            </p>
          ) : null}
        </section>
        {file === null ? null : (
          <Preview
            key={file}
            id={id}
            name={file}
            entry={
              list.data === undefined
                ? undefined
                : (entries.find((one) => one.name === file) ?? null)
            }
            onClose={() => setQuery({ file: null })}
          />
        )}
      </div>
      {deleting === null ? null : (
        <DeleteDialog
          id={id}
          entry={deleting}
          onClose={(done) => {
            setDeleting(null);
            if (!done) return;
            if (deleting.name === file) setQuery({ file: null });
            void list.refetch();
          }}
        />
      )}
      {uploads.question === null ? null : (
        <ConfirmDialog
          title={`Replace ${uploads.question.join(", ")}?`}
          action="Replace"
          onConfirm={uploads.confirm}
          onClose={uploads.cancel}
        >
          <p>A file with this name exists; its content will be replaced.</p>
        </ConfirmDialog>
      )}
    </>
  );
  // Pages of a pipeline show the offline banner in their frame.
  return id === null ? <PageStatus error={list.error}>{browser}</PageStatus> : browser;
}

function Crumbs({ id, directory }: { id: string | null; directory: string }) {
  const crumbs = [{ label: id === null ? "Your data" : "Data", name: "" }, ...crumbsOf(directory)];
  return (
    <nav aria-label="Directory" className={styles.crumbs}>
      {crumbs.map(({ label, name }, index) => (
        <span key={name}>
          {index > 0 ? <span className="muted"> / </span> : null}
          {name === directory ? (
            <strong>{label}</strong>
          ) : (
            <button
              type="button"
              className={styles.crumb}
              onClick={() => setQuery({ dir: name, file: null })}
            >
              {label}
            </button>
          )}
        </span>
      ))}
    </nav>
  );
}

function UploadButton(props: { busy: boolean; onFiles: (files: FileList) => void }) {
  const { busy, onFiles } = props;
  return (
    <label className={`button button-plain ${styles.upload}`} aria-disabled={busy}>
      {busy ? "Uploading…" : "Upload"}
      <input
        type="file"
        multiple
        className="sr-only"
        aria-label="Upload files"
        disabled={busy}
        onChange={(event) => {
          if (event.target.files !== null) onFiles(event.target.files);
          event.target.value = "";
        }}
      />
    </label>
  );
}

function NoFiles({ id, directory }: { id: string | null; directory: string }) {
  if (directory !== "") return <EmptyState title="This directory is empty" />;
  return (
    <EmptyState
      icon="data"
      title="No data yet"
      text={`${
        id === null
          ? "Data that commands store with conducto.data.user appears here. All your pipelines share it."
          : "Data that this pipeline's commands store with conducto.data.pipeline appears here."
      } To upload files, drop them here.`}
      example={`conducto-data-${id === null ? "user" : "pipeline"} put model.bin out/model.bin`}
      docs="concepts/data"
    />
  );
}

/** The progress of uploads, with a Cancel button. */
function UploadStatus(props: { progress: UploadProgress; onStop: () => void }) {
  const { name, number, files, sent, total } = props.progress;
  const share = total === 0 ? 1 : sent / total;
  return (
    <div className={uploadStyles.progress} role="group" aria-label="Upload">
      <span className={`${uploadStyles.name} clip`} title={name}>
        {files > 1 ? `${number} of ${files}: ` : ""}
        {name}
      </span>
      <progress max={1} value={share} aria-label="Upload progress" />
      <span className="muted number">{`${bytes(sent)} of ${bytes(total)}`}</span>
      <Button variant="quiet" onClick={props.onStop}>
        Cancel
      </Button>
    </div>
  );
}

interface Props {
  id: string | null;
  entry: DataEntry;
  /** `done`: the entry was deleted. */
  onClose: (done: boolean) => void;
}

function DeleteDialog({ id, entry, onClose }: Props) {
  const label = baseName(entry.name);
  return (
    <RequestDialog
      danger
      title={`Delete ${label}?`}
      action="Delete"
      request={() => dataApi.remove(id, entry.name)}
      onDone={() => {
        toast(`Deleted ${label}`);
        onClose(true);
      }}
      onClose={() => onClose(false)}
    >
      <p>
        {entry.kind === "directory"
          ? "This deletes the directory and everything in it. You cannot undo this."
          : "You cannot undo this."}{" "}
        Commands that read it will fail to find it.
      </p>
    </RequestDialog>
  );
}
