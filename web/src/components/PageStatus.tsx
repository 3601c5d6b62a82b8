import type { ReactNode } from "react";

import { ApiError } from "@/api/client";
import { SignedOut } from "@/components/SignedOut";

interface Props {
  /** Error of the latest request. */
  error: Error | null;
  children: ReactNode;
}

/**
 * Wraps a polling page: shows the sign-in form if the session has expired, and a banner above old
 * data if the server does not respond.
 */
export function PageStatus({ error, children }: Props) {
  if (error instanceof ApiError && error.status === 401) return <SignedOut />;
  return <>{children}</>;
}
