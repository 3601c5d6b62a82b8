import { type CSSProperties, type ReactNode } from "react";

import { clampShare, MAX_SHARE, MIN_SHARE } from "@/run/model/split";
import styles from "@/run/page/Panes.module.css";
import { useSplit } from "@/run/page/useSplit";

interface Props {
  /** The pane that small screens show. */
  shown: "tree" | "node";
  tree: ReactNode;
  node: ReactNode;
}

/**
 * The tree and the node side by side, with a border that can be moved and is remembered. Style
 * sheets show one of them on small screens, so that both keep their state when the width changes.
 * Keys of the page act inside only (`data-keys`).
 */
export function Panes({ shown, tree, node }: Props) {
  const { share, setShare, onKeyDown } = useSplit();
  return (
    <div
      className={styles.split}
      data-keys
      data-shown={shown}
      style={{ "--tree": `${share}%` } as CSSProperties}
    >
      <div id="tree" className={styles.panel}>
        {tree}
      </div>
      <div
        className={styles.separator}
        role="separator"
        tabIndex={0}
        aria-label="Width of the tree"
        aria-orientation="vertical"
        aria-controls="tree"
        aria-valuemin={MIN_SHARE}
        aria-valuemax={MAX_SHARE}
        aria-valuenow={Math.round(share)}
        onKeyDown={onKeyDown}
        onPointerDown={({ currentTarget, pointerId }) => currentTarget.setPointerCapture(pointerId)}
        onPointerMove={({ currentTarget, pointerId, clientX }) => {
          const box = currentTarget.parentElement?.getBoundingClientRect();
          if (box === undefined || !currentTarget.hasPointerCapture(pointerId)) return;
          setShare(clampShare(((clientX - box.left) / box.width) * 100));
        }}
      />
      <div id="node" className={styles.panel}>
        {node}
      </div>
    </div>
  );
}
