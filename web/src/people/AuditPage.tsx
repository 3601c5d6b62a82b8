import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { organisationApi } from "@/people/api/organisation";
import type { AuditEntry } from "@/api/schema";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { useTitle } from "@/components/useTitle";
import { moment, plural } from "@/lib/time";
import { OrganisationFrame } from "@/people/OrganisationFrame";
import styles from "@/people/Table.module.css";

const FIRST_ERROR = 400;

/** The audit log, with a filter by user and operation. */
export function AuditPage() {
  const [user, setUser] = useState("");
  const [operation, setOperation] = useState("");
  const filter = {
    ...(user === "" ? {} : { user }),
    ...(operation === "" ? {} : { operation }),
  };
  const log = useInfiniteQuery({
    queryKey: ["audit", filter],
    queryFn: ({ pageParam, signal }) =>
      organisationApi.audit({ ...filter, after: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
  useTitle("Audit log");
  const entries = log.data?.pages.flatMap((page) => page.entries);
  return (
    <PageStatus error={log.error}>
      <OrganisationFrame path="/organisation/audit" title="Audit log">
        <p className="muted">
          Every request that did more than read, and every request of an assistant, for 400 days.
          Bodies of requests are not stored. The status is unknown until the response, and if a
          request was interrupted.
        </p>
        <div className={styles.filters}>
          <Filter label="User" value={user} onChange={setUser} />
          <Filter label="Operation" value={operation} onChange={setOperation} />
        </div>
        {entries === undefined ? (
          <QueryPlaceholder query={log} rows={8} />
        ) : entries.length === 0 ? (
          <EmptyState
            icon="list"
            title="No entries"
            text={
              user === "" && operation === ""
                ? "The first request that changes something appears here."
                : "No request matches the filter."
            }
            docs="organisations"
          />
        ) : (
          <Table entries={entries} />
        )}
        {log.hasNextPage ? (
          <div>
            <Button disabled={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
              Older entries
            </Button>
          </div>
        ) : null}
      </OrganisationFrame>
    </PageStatus>
  );
}

interface FilterProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
}

/** A field that filters when it loses the focus or Enter is pressed. */
function Filter({ label, value, onChange }: FilterProps) {
  return (
    <input
      className="field"
      aria-label={label}
      placeholder={label}
      defaultValue={value}
      autoComplete="off"
      onBlur={(event) => onChange(event.target.value.trim())}
      onKeyDown={(event) => {
        if (event.key === "Enter") onChange(event.currentTarget.value.trim());
      }}
    />
  );
}

function Table({ entries }: { entries: readonly AuditEntry[] }) {
  return (
    <div className={`card ${styles.card}`} role="region" aria-label="Audit log" tabIndex={0}>
      <table className={`list ${styles.stack}`}>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">User</th>
            <th scope="col">Operation</th>
            <th scope="col">On</th>
            <th scope="col" className="list-number">
              Status
            </th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry, place) => (
            <tr key={`${entry.request} ${String(place)}`}>
              <td className="number muted">{moment(entry.time)}</td>
              <th scope="row">
                {entry.user}
                {entry.scopes.length > 0 ? (
                  <span className="muted" title={`Scopes: ${entry.scopes.join(", ")}`}>
                    {" "}
                    by {entry.client || "an assistant"}
                  </span>
                ) : null}
              </th>
              <td className="mono">{entry.operation}</td>
              <td className={`mono ${styles.wide}`} title={entry.paths.join("\n")}>
                {subjectOf(entry)}
              </td>
              <Status status={entry.status} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The status of the response, or "unknown" for a request without an end. */
function Status({ status }: { status: AuditEntry["status"] }) {
  const unknown = status === null;
  const tone = unknown ? "state-warning" : status >= FIRST_ERROR ? "state-error" : "muted";
  return (
    <td
      className={`list-number number ${styles.action} ${tone}`}
      title={
        unknown
          ? "The request has not ended, or was interrupted. It may have been executed."
          : undefined
      }
    >
      {unknown ? "unknown" : status}
    </td>
  );
}

function subjectOf({ subject, paths }: AuditEntry): string {
  const [first] = paths;
  if (first === undefined) return subject;
  return `${subject} ${paths.length === 1 ? first : plural(paths.length, "node")}`;
}
