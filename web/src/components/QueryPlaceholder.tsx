import { messageOf } from "@/api/client";
import { LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";

interface Props {
  query: { error: Error | null; refetch: () => unknown };
  /** Number of placeholder lines. */
  rows?: number;
}

/** Stands for the data of a query that is loading or has failed. */
export function QueryPlaceholder({ query, rows }: Props) {
  const { error, refetch } = query;
  if (error !== null)
    return <LoadError message={messageOf(error)} onRetry={() => void refetch()} />;
  return rows === undefined ? <Loading /> : <Loading rows={rows} />;
}
