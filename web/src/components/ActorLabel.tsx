import type { Actor } from "@/api/schema";
import styles from "@/components/ActorLabel.module.css";
import { visible } from "@/lib/visible";

/** `Claude Code for ana`, with the dashed frame of all that assistants do; or the person's name. */
export function ActorLabel({ actor: { user, assistant } }: { actor: Actor }) {
  if (assistant === null) return <span>{visible(user)}</span>;
  return <span className={styles.assistant}>{visible(`${assistant} for ${user}`)}</span>;
}
