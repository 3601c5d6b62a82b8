import { useMutation, useQuery } from "@tanstack/react-query";

import { agentApi } from "@/remote/api/agent";
import type { GcItem, GcReport } from "@/api/schema";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { Dialog } from "@/components/Dialog";
import { Loading } from "@/components/Loading";
import { bytes, plural } from "@/lib/time";
import styles from "@/remote/agent/CollectDialog.module.css";

/** Lists unneeded resources, deletes them on request and shows the result. */
export function CollectDialog({ onClose }: { onClose: () => void }) {
  const found = useQuery({
    queryKey: ["unneeded"],
    queryFn: () => agentApi.collectGarbage(true),
    gcTime: 0,
    staleTime: Infinity,
  });
  const collect = useMutation({ mutationFn: () => agentApi.collectGarbage(false) });
  const error = found.error ?? collect.error;
  const result = collect.data;
  const items = found.data?.items ?? [];
  return (
    <Dialog
      wide
      title={result === undefined ? "Clean up" : resultTitle(result)}
      onClose={onClose}
      footer={
        result !== undefined || (found.isSuccess && items.length === 0) ? (
          <Button data-first onClick={onClose}>
            Close
          </Button>
        ) : (
          <>
            <Button data-first onClick={onClose}>
              Cancel
            </Button>
            <Button
              variant="main"
              disabled={!found.isSuccess || collect.isPending}
              onClick={() => collect.mutate()}
            >
              {collect.isPending ? "Deleting…" : deleteLabel(found.data)}
            </Button>
          </>
        )
      }
    >
      {result === undefined ? (
        <p className="muted">
          Delete idle containers, images that no pipeline uses, and files of deleted pipelines.
          Images are rebuilt if they are needed again.
        </p>
      ) : null}
      <FormError error={error} />
      {found.isPending ? <Loading rows={3} /> : null}
      {found.isSuccess && items.length === 0 ? <p>There is nothing to clean up.</p> : null}
      {items.length === 0 ? null : <Items items={(result ?? found.data)?.items ?? []} />}
      {((result ?? found.data)?.notes ?? []).map((note) => (
        <p key={note}>{note}</p>
      ))}
    </Dialog>
  );
}

function deleteLabel(report: GcReport | undefined): string {
  return report === undefined || report.bytes === 0 ? "Delete" : `Delete ${bytes(report.bytes)}`;
}

function resultTitle({ items, bytes: size }: GcReport): string {
  const deleted = items.filter((item) => item.freed).length;
  return `Deleted ${plural(deleted, "item")}, ${bytes(size)}`;
}

function Items({ items }: { items: readonly GcItem[] }) {
  return (
    <div className={styles.items} tabIndex={0} role="region" aria-label="Unneeded items">
      <table className="list">
        <thead>
          <tr>
            <th scope="col">Kind</th>
            <th scope="col">Name</th>
            <th scope="col" className="list-number">
              Size
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={`${item.kind} ${item.name}`}>
              <td>{item.kind}</td>
              <td className={`mono ${styles.name}`}>
                {item.name}
                {item.note === null ? null : (
                  <span className="state-warning">{` kept: ${item.note}`}</span>
                )}
              </td>
              <td className="list-number number">{item.bytes === 0 ? "–" : bytes(item.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
