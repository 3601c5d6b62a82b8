import "@/pages/parts/parts.css";

import type { ReactNode } from "react";

import { ApiError, OfflineError } from "@/api/client";
import { SignedOut } from "@/app/SignedOut";

/**
 * A page that asks for something again and again: what it shows when this browser is not signed in,
 * and that the agent is away while it shows what it knew.
 */
export function PageStand({ error, children }: { error: Error | null; children: ReactNode }) {
  if (error instanceof ApiError && error.status === 401) return <SignedOut />;
  return (
    <>
      {error instanceof OfflineError ? (
        <div className="banner" role="status">
          The agent does not answer. This page goes on by itself when it is back;{" "}
          <code>conducto list</code> starts it.
        </div>
      ) : null}
      {children}
    </>
  );
}
