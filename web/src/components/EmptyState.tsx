import type { ReactNode } from "react";

import { Code } from "@/components/Code";
import styles from "@/components/EmptyState.module.css";
import { Icon, type IconName } from "@/components/Icon";
import { docsUrl } from "@/lib/docs";

interface EmptyProps {
  title: string;
  /** The title is the heading of the page, which shows nothing else. */
  heading?: boolean;
  icon?: IconName;
  /** Text about the later content. */
  text?: ReactNode;
  /** A command, or lines of a script, that get it. */
  example?: string;
  /** The button that gets it. */
  action?: ReactNode;
  /** The page of the documentation, such as `concepts/tests`. */
  docs?: string;
  /** Inside a card. */
  inline?: boolean;
  children?: ReactNode;
}

/** An empty page or part: its later content, the way to get some, and its documentation. */
export function EmptyState(props: EmptyProps) {
  const { title, heading = false, icon, text, example, action, docs, inline = false } = props;
  const Title = heading ? "h1" : "p";
  return (
    <div className={`${styles.empty ?? ""} ${inline ? (styles.inline ?? "") : ""}`}>
      {icon === undefined ? null : <Icon name={icon} />}
      <Title className={styles.title}>{title}</Title>
      {text === undefined ? null : <p className={`muted ${styles.text ?? ""}`}>{text}</p>}
      {example === undefined ? null : <Code text={example} label="example" />}
      {props.children}
      {action === undefined && docs === undefined ? null : (
        <div className={styles.actions}>
          {action}
          {docs === undefined ? null : <Docs page={docs} />}
        </div>
      )}
    </div>
  );
}

function Docs({ page }: { page: string }) {
  const url = docsUrl(page);
  return url === null ? (
    <span className="muted">
      Documentation: <code>{`docs/${page}.md`}</code>
    </span>
  ) : (
    <a href={url} target="_blank" rel="noopener noreferrer">
      How it works
    </a>
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
