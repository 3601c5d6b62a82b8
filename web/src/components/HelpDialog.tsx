import { Dialog } from "@/components/Dialog";
import keyStyles from "@/components/Keys.module.css";
import { isPipelinePath, machineIn } from "@/lib/location";
import { HELP, type HelpKeys } from "@/app/texts/help";

/** The purpose of a page, and its keys. */
export function HelpDialog({ path, onClose }: { path: string; onClose: () => void }) {
  const page = HELP.page(machineIn(path).rest);
  return (
    <Dialog title={HELP.title} onClose={onClose}>
      {page === null ? null : <p>{page}</p>}
      <h3>{HELP.everywhere}</h3>
      <Keys keys={HELP.everywhereKeys} />
      {isPipelinePath(path) ? (
        <>
          <h3>{HELP.inPipeline}</h3>
          <KeyList />
        </>
      ) : null}
    </Dialog>
  );
}

/** The keys of the tree and the node. */
export function KeyList() {
  return <Keys keys={HELP.keys} />;
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
