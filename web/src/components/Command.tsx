import styles from "@/components/Command.module.css";
import { tokens } from "@/lib/highlight";

/** A command with syntax highlighting. */
export function Command({ text }: { text: string }) {
  return (
    <pre className={styles.command} tabIndex={0} role="region" aria-label="Command">
      {tokens(text).map(({ kind, text: piece }, index) =>
        kind === "plain" ? (
          piece
        ) : (
          <span key={index} className={styles[kind]}>
            {piece}
          </span>
        ),
      )}
    </pre>
  );
}
