import { Dialog } from "@/components/Dialog";
import keyStyles from "@/components/Keys.module.css";
import { PIPELINE } from "@/strings/pipeline";

const KEYS: readonly [string, string][] = [
  ["↑ ↓", "previous or next row"],
  ["→ ←", "open or close a group; go into or out of it"],
  ["Space", "select or deselect"],
  ["Home End", "first or last row"],
  ["n p", "next or previous failure"],
  ["u", "next running command"],
  ["f", "show failed commands only, or all"],
  ["/", "search the tree"],
  ["r", "rerun; asks first"],
  ["s", "skip or unskip"],
  ["k", "kill; asks first"],
  ["e", "edit: modify parameters"],
  ["d", "copy the debug command"],
  ["g", "run or pause the pipeline"],
  ["Ctrl+Shift+L", "leave the terminal of a shell"],
  ["Esc", "close the search, clear the selection"],
  ["?", "show keyboard shortcuts"],
];

export function HelpDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={PIPELINE.keyboardShortcuts} onClose={onClose}>
      <KeyList />
    </Dialog>
  );
}

export function KeyList() {
  return (
    <dl className={keyStyles.keys}>
      {KEYS.map(([keys, what]) => (
        <div key={keys}>
          <dt>
            {keys.split(" ").map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}
