import type { ReactNode } from "react";

import styles from "@/components/EmptyState.module.css";

interface EmptyProps {
  title: string;
  /** The title is the heading of the page, which shows nothing else. */
  heading?: boolean;
  children?: ReactNode;
}

/** A message for an empty page or pane, with the next step. */
export function EmptyState({ title, heading = false, children }: EmptyProps) {
  const Title = heading ? "h1" : "p";
  return (
    <div className={styles.empty}>
      <Title className={styles.title}>{title}</Title>
      {children}
    </div>
  );
}

/** An error message with a Retry button. */
export function LoadError({ message, onRetry }: { message: string; onRetry?: () => void }) {
  return (
    <div className={styles.empty} role="alert">
      <p className={styles.title}>Could not load</p>
      <p className="muted">{message}</p>
      {onRetry === undefined ? null : (
        <button type="button" className="button button-plain" onClick={onRetry}>
          Retry
        </button>
      )}
    </div>
  );
}
