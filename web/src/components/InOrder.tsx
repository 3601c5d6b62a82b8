import styles from "@/components/InOrder.module.css";

/** Class of an element whose children appear in order; `Pending` marks those that still load. */
export const IN_ORDER = styles.parts ?? "";

/** Takes the place of content that loads, and hides the next children of its `IN_ORDER`. */
export function Pending() {
  return <span data-pending hidden />;
}
