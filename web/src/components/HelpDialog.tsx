import { Dialog } from "@/components/Dialog";
import keyStyles from "@/components/Keys.module.css";
import { isPipelinePath, machineIn } from "@/lib/location";

/** Keys, separated by spaces, and their actions. */
type HelpKeys = readonly (readonly [string, string])[];

/** Content and first step of each page, by the first part of its path. */
const PAGES: Record<string, string> = {
  "": "All pipelines, by program. The newest pipeline of each program has its action beside it; the strip shows the earlier ones. To launch a pipeline, run its script with --run in a terminal.",
  p: "The tree on the left has the commands; select one to see its output, attempts and files on the right. The header runs, pauses and cancels the pipeline. With no node selected, the overview has the reasons of failures, and the commands that run or wait.",
  launch:
    "Launches a Python script of a Git repository, without a terminal. The installation clones the repository, runs the script once to build the tree, and then runs the tree.",
  activity:
    "The commands that run, and those that wait with the reason, of all pipelines. The worst overrun comes first.",
  program:
    "All pipelines of a program: pass rate, times, metrics and flaky nodes. Choose two pipelines to compare them.",
  data: "Files of your pipelines and your own data, which commands read and write.",
  secrets:
    "Values that commands receive as environment variables. Nobody can read a secret here after it is saved.",
  agent: "The process on this machine that runs local pipelines: its resources, disk and log.",
  agents:
    "The machines that are linked to the organisation: whether they are connected, and what they allow. Link one with: conducto agent link",
  organisation: "Members, their roles and invitations, the audit log and the plan.",
  account: "Your tokens and sessions.",
  settings: "Times, keys and notifications, stored in this browser.",
};

const EVERYWHERE: HelpKeys = [
  ["Ctrl+K", "command palette: find pipelines, nodes, actions and pages"],
  ["?", "help"],
];

const KEYS: HelpKeys = [
  ["↑ ↓", "previous or next row; beside the output of a group, Enter opens it"],
  ["→ ←", "open or close a group; go into or out of it"],
  ["Space", "select or deselect; beside the output of a group, show or hide"],
  ["Home End", "first or last row"],
  ["n p", "next or previous failure"],
  ["1 2 3 4", "show the reasons of a kind: all, newly failing, still failing, flaky"],
  ["c", "compare with the last good pipeline"],
  ["u", "next running command"],
  ["f", "show failed commands only, or all"],
  ["/", "search the tree"],
  ["] [", "next or previous error in the output of a group"],
  [".", "search it with a regular expression, or a text"],
  ["r", "rerun; asks first"],
  ["s", "skip or unskip"],
  ["k", "kill; asks first"],
  ["e", "edit: modify parameters"],
  ["d", "copy the debug command"],
  ["g", "run or pause the pipeline"],
  ["Ctrl+Shift+L", "leave the terminal of a shell"],
  ["Esc", "close the search, clear the selection"],
];

/** Keys that one page has. */
const PAGE_KEYS: Record<string, HelpKeys> = {
  activity: [
    ["↑ ↓", "previous or next row"],
    ["Enter", "open it"],
    ["o", "open its output"],
    ["k", "kill; asks first"],
    ["a", "open the approval"],
    ["/", "search"],
  ],
};

/** The purpose of a page, and its keys. */
export function HelpDialog({ path, onClose }: { path: string; onClose: () => void }) {
  const name = machineIn(path).rest.split("/")[1] ?? "";
  const page = PAGES[name] ?? null;
  const pageKeys = PAGE_KEYS[name];
  return (
    <Dialog title="Help" onClose={onClose}>
      {page === null ? null : <p>{page}</p>}
      <h3>On every page</h3>
      <Keys keys={EVERYWHERE} />
      {pageKeys === undefined ? null : (
        <>
          <h3>On this page</h3>
          <Keys keys={pageKeys} />
        </>
      )}
      {isPipelinePath(path) ? (
        <>
          <h3>In the tree and the node of a pipeline</h3>
          <KeyList />
        </>
      ) : null}
    </Dialog>
  );
}

/** The keys of the tree and the node. */
export function KeyList() {
  return <Keys keys={KEYS} />;
}

function Keys({ keys: rows }: { keys: HelpKeys }) {
  return (
    <dl className={keyStyles.keys}>
      {rows.map(([keys, action]) => (
        <div key={keys}>
          <dt>
            {keys.split(" ").map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
          </dt>
          <dd>{action}</dd>
        </div>
      ))}
    </dl>
  );
}
