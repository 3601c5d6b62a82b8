import "@/pages/data/data.css";

import { useState } from "react";

import { messageOf } from "@/api/client";
import { dataFile } from "@/api/data";
import type { DataEntry } from "@/api/schema";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Empty, Failure } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { PageStand } from "@/components/PageStand";
import { setQuery, useLocation } from "@/lib/location";
import { crumbsOf } from "@/model/dataFiles";
import { DeleteDialog } from "@/pages/data/DeleteDialog";
import { EntryTable } from "@/pages/data/EntryTable";
import { Preview } from "@/pages/data/Preview";
import { UploadStatus } from "@/pages/data/UploadStatus";
import { useEntries } from "@/pages/data/useEntries";
import { useUploads } from "@/pages/data/useUploads";

/** Data of a pipeline, or of the user where `id` is null: look, fetch, put, delete. */
export function DataBrowser({ id }: { id: string | null }) {
  const { query } = useLocation();
  const directory = query.get("dir") ?? "";
  const file = query.get("file");
  const { list, entries } = useEntries(id, directory);
  const [doomed, setDoomed] = useState<DataEntry | null>(null);
  const uploads = useUploads(id, directory, entries);
  const [over, setOver] = useState(false);
  const browser = (
    <>
      <div
        className={`data${file === null ? "" : " data-file"}${over ? " data-over" : ""}`}
        onDragOver={(event) => {
          if (!event.dataTransfer.types.includes("Files")) return;
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={(event) => {
          if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
        }}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          uploads.choose(event.dataTransfer.files);
        }}
      >
        <section className="data-list" aria-label="Files">
          <div className="data-bar">
            <Crumbs id={id} directory={directory} />
            <span className="page-grow" />
            <UploadButton busy={uploads.progress !== null} onFiles={uploads.choose} />
          </div>
          {uploads.progress === null ? null : (
            <UploadStatus progress={uploads.progress} onStop={uploads.stop} />
          )}
          {list.data === undefined && list.error !== null ? (
            <Failure message={messageOf(list.error)} onRetry={() => void list.refetch()} />
          ) : list.data === undefined ? (
            <Loading />
          ) : entries.length === 0 ? (
            <NoFiles id={id} directory={directory} />
          ) : (
            <EntryTable
              entries={entries}
              opened={file}
              address={(name) => dataFile(id, name)}
              onDelete={setDoomed}
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
      {doomed === null ? null : (
        <DeleteDialog
          id={id}
          entry={doomed}
          onClose={(done) => {
            setDoomed(null);
            if (!done) return;
            if (doomed.name === file) setQuery({ file: null });
            void list.refetch();
          }}
        />
      )}
      {uploads.question === null ? null : (
        <Dialog
          title={`Replace ${uploads.question.join(", ")}?`}
          onClose={uploads.cancel}
          footer={
            <>
              <Button onClick={uploads.cancel}>Cancel</Button>
              <Button look="main" autoFocus onClick={uploads.confirm}>
                Replace
              </Button>
            </>
          }
        >
          <p>There is something of this name already; its content would be lost.</p>
        </Dialog>
      )}
    </>
  );
  // What stands around a page of a pipeline says itself when the agent is away.
  return id === null ? <PageStand error={list.error}>{browser}</PageStand> : browser;
}

/** The way from the top to the directory. */
function Crumbs({ id, directory }: { id: string | null; directory: string }) {
  const crumbs = [{ label: id === null ? "Your data" : "Data", name: "" }, ...crumbsOf(directory)];
  return (
    <nav aria-label="Directory" className="data-crumbs">
      {crumbs.map(({ label, name }, index) => (
        <span key={name}>
          {index > 0 ? <span className="muted"> / </span> : null}
          {name === directory ? (
            <strong>{label}</strong>
          ) : (
            <button
              type="button"
              className="data-crumb"
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
    <label className="button button-plain data-upload" aria-disabled={busy}>
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
  if (directory !== "") return <Empty title="This directory is empty" />;
  return (
    <Empty title="No data yet">
      <p className="muted">
        {id === null
          ? "What commands keep with conducto.data.user is shared by all of your pipelines, and appears here."
          : "What this pipeline's commands keep with conducto.data.pipeline appears here."}{" "}
        Drop files here to put some in.
      </p>
    </Empty>
  );
}
