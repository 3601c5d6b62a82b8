import "@/pages/parts/parts.css";

import type { ReactNode } from "react";

import { ApiError, OfflineError } from "@/api/client";
import { SignedOut } from "@/app/SignedOut";

interface Props {
  /** What the page's last call came to, where that was nothing good. */
  error: Error | null;
  /** Whether the page has anything to show. */
  known?: boolean;
  children: ReactNode;
}

/**
 * A page that asks for something again and again: what it shows when this browser is not signed in,
 * and that the agent is away while it shows what it knew.
 */
export function PageStand({ error, known = true, children }: Props) {
  if (error instanceof ApiError && error.status === 401) return <SignedOut />;
  return (
    <>
      {error instanceof OfflineError && known ? (
        <div className="banner" role="status">
          <span>
            The agent does not answer; this is what it said last. The page goes on by itself when it
            is back; <code>conducto list</code> starts it.
          </span>
        </div>
      ) : null}
      {children}
    </>
  );
}
