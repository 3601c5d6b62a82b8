import { Dialog } from "@/components/Dialog";

const KEYS: readonly [string, string][] = [
  ["↑ ↓", "previous or next row"],
  ["→ ←", "open or close a group; into it, out of it"],
  ["Space", "select or unselect"],
  ["Home End", "first or last row"],
  ["n p", "next or previous failure"],
  ["u", "next Exec that runs"],
  ["f", "only what failed, or all again"],
  ["/", "search the tree"],
  ["r", "reset"],
  ["s", "skip or unskip"],
  ["k", "kill"],
  ["m", "modify"],
  ["d", "copy the debug command"],
  ["g", "run or pause the pipeline"],
  ["Ctrl+Shift+L", "leave the terminal of a shell"],
  ["Esc", "leave a search, clear the selection"],
  ["?", "this list"],
];

/** Every key of the page. */
export function HelpDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <KeyList />
    </Dialog>
  );
}

export function KeyList() {
  return (
    <dl className="keys">
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
