import styles from "@/components/Loading.module.css";

interface Props {
  /** Number of placeholder lines. */
  rows?: number;
}

/**
 * A placeholder for loading content. It appears after a delay, so that quick responses do not
 * flash.
 */
export function Loading({ rows = 6 }: Props) {
  return (
    <div className={styles.loading} role="status">
      <span className="sr-only">Loading…</span>
      {Array.from({ length: rows }, (_, place) => (
        <span key={place} className={styles.row} aria-hidden />
      ))}
      <span className={`${styles.still} muted`} aria-hidden>
        Still loading…
      </span>
    </div>
  );
}
