import "@/components/pages.css";

import type { ReactNode } from "react";

import { ApiError, OfflineError } from "@/api/client";
import { OfflineBanner } from "@/components/OfflineBanner";
import { SignedOut } from "@/components/SignedOut";

interface Props {
  /** Error of the latest request. */
  error: Error | null;
  /** Whether the page has data to show. */
  known?: boolean;
  children: ReactNode;
}

/**
 * Wraps a polling page: shows the sign-in form if the session has expired, and a banner above old
 * data if the server does not respond.
 */
export function PageStatus({ error, known = true, children }: Props) {
  if (error instanceof ApiError && error.status === 401) return <SignedOut />;
  return (
    <>
      {error instanceof OfflineError && known ? <OfflineBanner /> : null}
      {children}
    </>
  );
}
