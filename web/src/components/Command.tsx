import styles from "@/components/Command.module.css";
import { tokens } from "@/lib/highlight";
import { COMMON } from "@/app/texts/common";

/** A command with syntax highlighting. */
export function Command({ text }: { text: string }) {
  return (
    <pre className={styles.command} tabIndex={0} role="region" aria-label={COMMON.commandLabel}>
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
