import { useState } from "react";

import { Button } from "@/components/Button";
import styles from "@/components/Tour.module.css";

const HINTS = [
  "Select a command in the tree to see its output, attempts and files.",
  "If a command fails, change it with Modify in the node's menu, or open a shell in its image with Debug, then rerun it. The others keep their results.",
  "Press Ctrl K to find nodes, pipelines and actions, and ? for help on any page.",
];

/**
 * Hints about the first pipeline, one at a time, in a bar that moves the page down. Escape closes
 * them.
 */
export function Tour({ onClose }: { onClose: () => void }) {
  const [at, setAt] = useState(0);
  const last = at === HINTS.length - 1;
  return (
    <section
      className={styles.tour}
      aria-label="First steps"
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <p aria-live="polite">{HINTS[at]}</p>
      <div className={styles.row}>
        <span className="muted">{`${at + 1} of ${HINTS.length}`}</span>
        {last ? null : (
          <Button variant="quiet" onClick={onClose}>
            Skip
          </Button>
        )}
        <Button onClick={() => (last ? onClose() : setAt(at + 1))}>{last ? "Done" : "Next"}</Button>
      </div>
    </section>
  );
}
