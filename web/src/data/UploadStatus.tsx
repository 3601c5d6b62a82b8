import { Button } from "@/components/Button";
import { bytes } from "@/lib/time";
import styles from "@/data/UploadStatus.module.css";
import type { UploadProgress } from "@/data/useUploads";

/** The progress of uploads, with a Cancel button. */
export function UploadStatus(props: { progress: UploadProgress; onStop: () => void }) {
  const { name, number, files, sent, total } = props.progress;
  const share = total === 0 ? 1 : sent / total;
  return (
    <div className={styles.progress} role="group" aria-label="Upload">
      <span className={`${styles.name} clip`} title={name}>
        {files > 1 ? `${number} of ${files}: ` : ""}
        {name}
      </span>
      <progress max={1} value={share} aria-label="Upload progress" />
      <span className="muted number">{`${bytes(sent)} of ${bytes(total)}`}</span>
      <Button variant="quiet" onClick={props.onStop}>
        Cancel
      </Button>
    </div>
  );
}
