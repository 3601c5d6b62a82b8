import styles from "@/components/SkipLink.module.css";

/** The first link of a page. It moves the focus to the tree, or to the content of other pages. */
export function SkipLink() {
  return (
    <a
      className={styles.link}
      href="#main"
      onClick={(event) => {
        event.preventDefault();
        document.querySelector<HTMLElement>("[role=tree], #main")?.focus();
      }}
    >
      Skip to content
    </a>
  );
}
