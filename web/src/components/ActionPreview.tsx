import type { ControlResult } from "@/api/schema";
import styles from "@/components/ActionPreview.module.css";
import { plural } from "@/lib/time";
import { visible } from "@/lib/visible";

/** The effects of an action: killed commands, and notes of the server. */
export function ActionPreview({ preview }: { preview: ControlResult }) {
  return (
    <>
      <KilledNote count={preview.stopped} />
      {preview.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </>
  );
}

/** Warns how many running commands an action kills. */
export function KilledNote({ count }: { count: number }) {
  return count === 0 ? null : (
    <p className="state-killed">{`${plural(count, "command")} running now will be killed.`}</p>
  );
}

const MAX_SHOWN = 8;

/** The first paths of `total` that an action affects. */
export function PathList({ paths, total }: { paths: readonly string[]; total: number }) {
  const rest = total - Math.min(MAX_SHOWN, paths.length);
  return paths.length === 0 ? null : (
    <ul className={`${styles.paths} mono`}>
      {paths.slice(0, MAX_SHOWN).map((path) => (
        <li key={path}>{visible(path)}</li>
      ))}
      {rest > 0 ? <li className="muted">{`and ${rest.toLocaleString("en")} more`}</li> : null}
    </ul>
  );
}
