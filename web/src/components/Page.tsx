import type { ReactNode } from "react";

import { PageStatus } from "@/components/PageStatus";
import { StaleBadge } from "@/components/StaleBadge";
import { useTitle } from "@/components/useTitle";

interface Props {
  title: string;
  /** Error of the latest request. */
  error?: Error | null;
  /** The query that is polled for the page, with its interval in ms. */
  polled?: readonly [query: { dataUpdatedAt: number }, every: number];
  /** Buttons in the title row. */
  actions?: ReactNode;
  dialog?: ReactNode;
  children: ReactNode;
}

/** A page with its title row; the tab has the same title. */
export function Page({ title, error = null, polled, actions, dialog, children }: Props) {
  useTitle(title);
  return (
    <PageStatus error={error}>
      <div className="page">
        <div className="page-head">
          <h1>{title}</h1>
          {polled === undefined ? null : <StaleBadge query={polled[0]} every={polled[1]} />}
          <span className="page-grow" />
          {actions}
        </div>
        {children}
      </div>
      {dialog}
    </PageStatus>
  );
}
