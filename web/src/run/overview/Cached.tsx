import type { CacheSavings } from "@/api/schema";
import { Button } from "@/components/Button";
import { StateIcon } from "@/components/StateIcon";
import { followLink, pipelineUrl } from "@/lib/location";
import { dollars } from "@/lib/money";
import { duration, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { Actions } from "@/run/actions/useActions";
import type { PipelineSession } from "@/run/live/session";
import { useSaved, useStale } from "@/run/live/useStale";
import styles from "@/run/overview/Overview.module.css";

const SHOWN = 3;

interface Props {
  session: PipelineSession;
  actions: Actions;
}

/** What the cache saved, and the stale commands. */
export function Cached(props: Props) {
  const saved = useSaved(props.session);
  return (
    <>
      {saved === null ? null : <Saved saved={saved} />}
      <Stale {...props} />
    </>
  );
}

function Saved({ saved: { commands, seconds, dollars: cost } }: { saved: CacheSavings }) {
  const money = cost === null ? "" : `, ${dollars(cost)}`;
  return (
    <p className={styles.section}>
      <StateIcon state="cached" /> {`${plural(commands, "command")} from the cache`}
      <span className="muted">{` · saved ${duration(seconds)}${money}`}</span>
    </p>
  );
}

/** The commands whose inputs have changed since they ran, and the way to run them again. */
function Stale({ session, actions }: Props) {
  const found = [...useStale(session)];
  if (found.length === 0) return null;
  const more = found.length - SHOWN;
  return (
    <section className={styles.section} aria-label="Stale commands">
      <h3>
        <StateIcon state="stale" /> {plural(found.length, "stale command")}
        <span className={styles.note}>inputs have changed since they ran</span>
      </h3>
      <ul>
        {found.slice(0, SHOWN).map(([path, name]) => (
          <li key={path}>
            <a href={pipelineUrl(session.id, path)} onClick={followLink}>
              {visible(path)}
            </a>{" "}
            <span className="muted">
              <code>{visible(name)}</code> changed
            </span>
          </li>
        ))}
        {more > 0 ? <li className="muted">{`${more.toLocaleString("en")} more`}</li> : null}
      </ul>
      <Button
        disabled={actions.busy}
        onClick={() =>
          void actions.nodes(
            "rerun",
            found.map(([path]) => path),
            true,
          )
        }
      >
        {`Rerun ${found.length.toLocaleString("en")} stale`}
      </Button>
    </section>
  );
}
