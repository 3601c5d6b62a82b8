import { useState } from "react";

import { Button } from "@/components/Button";
import styles from "@/components/Tour.module.css";
import { TOUR } from "@/app/texts/help";

/** Hints about the first pipeline, one at a time, beside the page. Escape closes them. */
export function Tour({ onClose }: { onClose: () => void }) {
  const [at, setAt] = useState(0);
  const last = at === TOUR.hints.length - 1;
  return (
    <section
      className={styles.tour}
      aria-label={TOUR.title}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <p aria-live="polite">{TOUR.hints[at]}</p>
      <div className={styles.row}>
        <span className="muted">{TOUR.place(at + 1, TOUR.hints.length)}</span>
        {last ? null : (
          <Button variant="quiet" onClick={onClose}>
            {TOUR.skip}
          </Button>
        )}
        <Button onClick={() => (last ? onClose() : setAt(at + 1))}>
          {last ? TOUR.done : TOUR.next}
        </Button>
      </div>
    </section>
  );
}
