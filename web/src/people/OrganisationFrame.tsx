import type { ReactNode } from "react";

import { followLink } from "@/lib/location";
import styles from "@/people/OrganisationFrame.module.css";

const VIEWS = [
  { path: "/organisation", label: "Members" },
  { path: "/organisation/audit", label: "Audit log" },
  { path: "/organisation/plan", label: "Plan and usage" },
] as const;

interface Props {
  path: (typeof VIEWS)[number]["path"];
  title: string;
  /** Buttons in the title row. */
  actions?: ReactNode;
  children: ReactNode;
}

/** The title, the views and the content of a page of the organisation. */
export function OrganisationFrame({ path, title, actions, children }: Props) {
  return (
    <div className={`page ${styles.page}`}>
      <div className="page-head">
        <h1>{title}</h1>
        <nav aria-label="Organisation" className={styles.views}>
          {VIEWS.map((view) => (
            <a
              key={view.path}
              href={view.path}
              onClick={followLink}
              className={styles.view}
              {...(view.path === path ? { "aria-current": "page" as const } : {})}
            >
              {view.label}
            </a>
          ))}
        </nav>
        <span className="page-grow" />
        {actions}
      </div>
      {children}
    </div>
  );
}
