import "@/components/pages.css";

import type { ReactNode } from "react";

import { ApiError, OfflineError } from "@/api/client";
import { AwayBanner } from "@/components/AwayBanner";
import { SignedOut } from "@/components/SignedOut";

interface Props {
  /** What the page's last call came to, where that was nothing good. */
  error: Error | null;
  /** Whether the page has anything to show. */
  known?: boolean;
  children: ReactNode;
}

/**
 * A page that asks for something again and again: what it shows when this browser is not signed in,
 * and that nobody answers while it shows what it knew.
 */
export function PageStand({ error, known = true, children }: Props) {
  if (error instanceof ApiError && error.status === 401) return <SignedOut />;
  return (
    <>
      {error instanceof OfflineError && known ? <AwayBanner /> : null}
      {children}
    </>
  );
}
