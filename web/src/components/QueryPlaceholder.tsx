import { useState } from "react";

import { messageOf } from "@/api/client";
import { LoadError } from "@/components/EmptyState";
import { Pending } from "@/components/InOrder";
import { Loading } from "@/components/Loading";

interface Props {
  query: { error: Error | null; refetch: () => unknown };
  /** Number of placeholder lines. */
  rows?: number;
}

/** Stands for the data of a query that is loading or has failed. */
export function QueryPlaceholder({ query, rows }: Props) {
  const { error, refetch } = query;
  // A query that is polled has no error during its next request.
  const [last, setLast] = useState(error);
  if (error !== null && error !== last) setLast(error);
  if (last !== null) return <LoadError message={messageOf(last)} onRetry={() => void refetch()} />;
  return (
    <>
      {rows === undefined ? <Loading /> : <Loading rows={rows} />}
      <Pending />
    </>
  );
}
