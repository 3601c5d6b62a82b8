import { useMutation, useQuery } from "@tanstack/react-query";

import { agentApi } from "@/api/agent";
import { messageOf } from "@/api/client";
import type { GcItem, GcReport } from "@/api/schema";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Loading } from "@/components/Loading";
import { bytes, plural } from "@/lib/time";

/** What nobody needs any more: shown first, freed when it is asked for, and what came of it. */
export function CollectDialog({ onClose }: { onClose: () => void }) {
  const found = useQuery({
    queryKey: ["unneeded"],
    queryFn: () => agentApi.collect(true),
    gcTime: 0,
    staleTime: Infinity,
    retry: false,
  });
  const collect = useMutation({ mutationFn: () => agentApi.collect(false) });
  const error = found.error ?? collect.error;
  const freed = collect.data;
  const items = found.data?.items ?? [];
  return (
    <Dialog
      wide
      title={freed === undefined ? "Free what nobody needs" : result(freed)}
      onClose={onClose}
      footer={
        freed !== undefined || (found.isSuccess && items.length === 0) ? (
          <Button data-first onClick={onClose}>
            Close
          </Button>
        ) : (
          <>
            <Button data-first onClick={onClose}>
              Cancel
            </Button>
            <Button
              look="main"
              disabled={!found.isSuccess || collect.isPending}
              onClick={() => collect.mutate()}
            >
              {collect.isPending ? "Freeing…" : freeing(found.data)}
            </Button>
          </>
        )
      }
    >
      {freed === undefined ? (
        <p className="muted">
          What no pipeline needs that is neither archived nor deleted: containers that only wait,
          images that no pipeline names, files of pipelines that are gone. An image that is needed
          again is built again.
        </p>
      ) : null}
      {error === null ? null : (
        <p className="form-error" role="alert">
          {messageOf(error)}
        </p>
      )}
      {found.isPending ? <Loading rows={3} /> : null}
      {found.isSuccess && items.length === 0 ? <p>There is nothing of that kind.</p> : null}
      {items.length === 0 ? null : <Items items={(freed ?? found.data)?.items ?? []} />}
      {((freed ?? found.data)?.notes ?? []).map((note) => (
        <p key={note}>{note}</p>
      ))}
    </Dialog>
  );
}

function freeing(report: GcReport | undefined): string {
  return report === undefined || report.bytes === 0 ? "Free it" : `Free ${bytes(report.bytes)}`;
}

function result({ items, bytes: size }: GcReport): string {
  const gone = items.filter((item) => item.freed).length;
  return `Freed ${plural(gone, "thing")}, ${bytes(size)}`;
}

function Items({ items }: { items: readonly GcItem[] }) {
  return (
    <div className="collect-items" tabIndex={0} role="region" aria-label="What nobody needs">
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
              <td className="mono collect-name">
                {item.name}
                {item.note === null ? null : (
                  <span className="state-warning"> stays: {item.note}</span>
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
