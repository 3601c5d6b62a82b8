import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { ApiError, messageOf } from "@/api/client";
import { dataApi, dataFileUrl } from "@/data/api/data";
import type { DataEntry } from "@/api/schema";
import { Button } from "@/components/Button";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { FileLink } from "@/components/FileLink";
import { LazyMarkdown } from "@/components/LazyMarkdown";
import { parseTable } from "@/lib/csv";
import { bytes, moment } from "@/lib/time";
import { baseName, imageType, previewKind } from "@/data/model/dataFiles";
import dataBrowserStyles from "@/data/DataBrowser.module.css";
import { Picture } from "@/data/Picture";
import styles from "@/data/Preview.module.css";

/** Maximum number of bytes fetched for a preview, and for an image. */
const TEXT_BYTES = 256 << 10;
const IMAGE_BYTES = 16 << 20;
const TABLE_ROWS = 200;
const TABLE_COLUMNS = 50;

interface Props {
  id: string | null;
  name: string;
  /** Null if the file is not listed, undefined until the list is loaded. */
  entry: DataEntry | null | undefined;
  onClose: () => void;
}

/** A preview of a file. Nothing in it is executed. */
export function Preview({ id, name, entry, onClose }: Props) {
  const max = imageType(name) === null ? TEXT_BYTES : IMAGE_BYTES;
  const content = useQuery({
    queryKey: ["data-preview", id, name, entry?.modified, entry?.size],
    // An empty file has no valid range.
    queryFn: ({ signal }) =>
      entry?.size === 0 ? new ArrayBuffer(0) : dataApi.read(id, name, max, signal),
    enabled: entry !== undefined,
    placeholderData: (before) => before,
  });
  return (
    <section className={styles.preview} aria-label={`File ${name}`}>
      <div className={dataBrowserStyles.bar}>
        <h2 className="clip" title={name}>
          {baseName(name)}
        </h2>
        <span className="muted number">
          {entry == null ? "" : `${bytes(entry.size)}, ${moment(entry.modified)}`}
        </span>
        <span className="page-grow" />
        <FileLink className="button button-plain" href={dataFileUrl(id, name)} />
        <Button variant="quiet" aria-label="Close file" onClick={onClose}>
          ×
        </Button>
      </div>
      {content.data === undefined ? (
        <PreviewLoading error={content.error} onRetry={() => void content.refetch()} />
      ) : (
        <Content
          name={name}
          content={content.data}
          whole={entry == null ? content.data.byteLength < max : entry.size <= max}
        />
      )}
    </section>
  );
}

function PreviewLoading({ error, onRetry }: { error: Error | null; onRetry: () => void }) {
  if (error === null) return <p className="muted page-note">Loading…</p>;
  if (error instanceof ApiError && error.status === 404) {
    return <EmptyState title="File not found" />;
  }
  return <LoadError message={messageOf(error)} onRetry={onRetry} />;
}

interface ContentProps {
  name: string;
  content: ArrayBuffer;
  /** The content is complete. */
  whole: boolean;
}

function Content({ name, content, whole }: ContentProps) {
  const kind = previewKind(name, new Uint8Array(content));
  const text = useMemo(() => new TextDecoder().decode(content), [content]);
  if (content.byteLength === 0) return <EmptyState title="This file is empty" />;
  const truncated = whole ? null : (
    <p className="muted page-note">
      Showing the first {bytes(content.byteLength)}; download the file to see the rest.
    </p>
  );
  switch (kind) {
    case "image":
      return whole ? <Picture name={name} content={content} /> : <TooLarge />;
    case "none":
      return (
        <EmptyState title="No preview">
          <p className="muted">
            This is not a text file. Download it to open it in another program.
          </p>
        </EmptyState>
      );
    case "table":
      return (
        <>
          {truncated}
          <Table text={text} separator={name.toLowerCase().endsWith(".tsv") ? "\t" : ","} />
        </>
      );
    case "markdown":
      return (
        <div
          className={`${styles.content} ${styles.doc}`}
          tabIndex={0}
          role="region"
          aria-label="Content"
        >
          {truncated}
          <LazyMarkdown text={text} below={2} />
        </div>
      );
    case "text":
      return (
        <>
          {truncated}
          <pre className={styles.content} tabIndex={0} role="region" aria-label="Content">
            {text}
          </pre>
        </>
      );
  }
}

function TooLarge() {
  return (
    <EmptyState title="This image is too large to preview">
      <p className="muted">Download the file to view it.</p>
    </EmptyState>
  );
}

function Table({ text, separator }: { text: string; separator: "," | "\t" }) {
  const rows = useMemo(() => parseTable(text, separator, TABLE_ROWS + 2), [text, separator]);
  const [head = [], ...body] = rows;
  const shown = body.slice(0, TABLE_ROWS);
  const wide = head.length > TABLE_COLUMNS;
  return (
    <div className={styles.content} tabIndex={0} role="region" aria-label="Content">
      <table className={styles.table}>
        <thead>
          <tr>
            <th scope="col" aria-label="Row" />
            {head.slice(0, TABLE_COLUMNS).map((cell, index) => (
              <th key={index} scope="col">
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((row, number) => (
            <tr key={number}>
              <th scope="row" className="muted number">
                {number + 1}
              </th>
              {row.slice(0, TABLE_COLUMNS).map((cell, index) => (
                <td key={index} className={isNumber(cell) ? `number ${styles.number}` : ""}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {body.length > TABLE_ROWS || wide ? (
        <p className="muted page-note">
          {`Showing the first ${TABLE_ROWS} rows`}
          {wide ? ` and ${TABLE_COLUMNS} columns` : ""}; download the file to see the rest.
        </p>
      ) : null}
    </div>
  );
}

function isNumber(cell: string): boolean {
  return cell !== "" && Number.isFinite(Number(cell));
}
