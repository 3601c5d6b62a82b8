import type { TreeNode } from "@/run/model/node";
import styles from "@/run/tree/NodeRow.module.css";

/** Shows the container reuse of a node. */
export function ReuseIcon({ node, reuse }: { node: TreeNode; reuse: "context" | "fresh" }) {
  const label =
    reuse === "fresh"
      ? "each attempt uses a new container"
      : node.type === "Exec"
        ? "shares the container of its group"
        : "commands below share one container, one at a time";
  return (
    <svg
      className={styles.reuse}
      viewBox="0 0 14 14"
      width="12"
      height="12"
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <rect
        x="2"
        y="3"
        width="10"
        height="8.5"
        rx="1"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.2"
        {...(reuse === "fresh" ? { strokeDasharray: "2.2 1.6" } : {})}
      />
      {reuse === "context" ? <path d="M2 6h10" stroke="currentColor" strokeWidth="1.2" /> : null}
    </svg>
  );
}
