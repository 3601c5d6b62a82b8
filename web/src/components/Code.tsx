import styles from "@/components/Code.module.css";
import { CopyButton } from "@/components/CopyButton";

/** Code with a Copy button. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div className={styles.code}>
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <CopyButton text={text} label={`Copy ${label}`} />
    </div>
  );
}
