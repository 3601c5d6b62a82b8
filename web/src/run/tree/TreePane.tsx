import { useDeferredValue } from "react";

import type { State } from "@/api/schema";
import bulkStyles from "@/components/Bulk.module.css";
import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { lazily } from "@/components/lazily";
import { Menu } from "@/components/Menu";
import { setQuery, useLocation } from "@/lib/location";
import type { PipelineSession } from "@/run/live/session";
import { ORDERS } from "@/run/tree/model/sorting";
import { failures, NO_COUNTS, stateLabel, STATES } from "@/run/model/states";
import type { Actions } from "@/run/actions/useActions";
import { pathsText } from "@/run/model/paths";
import { Tree } from "@/run/tree/Tree";
import styles from "@/run/tree/TreePane.module.css";
import { goToFailure } from "@/run/page/usePageKeys";
import { focusTree, useTreeFocus } from "@/run/page/useTreeFocus";

const SearchResults = lazily(async () => (await import("@/run/tree/SearchResults")).SearchResults, {
  placeholder: null,
});

const ORDER_LABELS = {
  state: "Sort by state, failed first",
  time: "Sort by time, slowest first",
  definition: "Sort as defined",
};

export interface TreePaneProps {
  session: PipelineSession;
  current: string | null;
  selected: ReadonlySet<string>;
  onSelect: (selected: ReadonlySet<string>) => void;
  actions: Actions;
  targets: readonly string[];
}

export function TreePane(props: TreePaneProps) {
  const { session, selected, onSelect } = props;
  const { query } = useLocation();
  const text = useDeferredValue(query.get("q") ?? "");
  const state = STATES.find((one) => one === query.get("state")) ?? null;
  const searching = text !== "" || state !== null;
  useTreeFocus(false, searching);
  return (
    <section className={`${styles.pane} tree-pane`} aria-label="Tree">
      <TreeTools {...props} state={state} />
      {selected.size > 0 ? <SelectionBar {...props} /> : null}
      {searching ? (
        <SearchResults
          session={session}
          text={text}
          state={state}
          current={props.current}
          selected={selected}
          onSelect={onSelect}
        />
      ) : (
        <Tree session={session} current={props.current} selected={selected} onSelect={onSelect} />
      )}
    </section>
  );
}

function TreeTools({ session, current, state }: TreePaneProps & { state: State | null }) {
  const { query } = useLocation();
  const failed = failures(session.model?.summary.counts ?? NO_COUNTS);
  return (
    <div className={styles.tools} role="search">
      <span className={styles.glass} aria-hidden>
        <Icon name="search" />
      </span>
      <input
        id="tree-search"
        className={`field ${styles.search}`}
        type="search"
        placeholder="Search paths and commands"
        aria-label="Search paths and commands"
        aria-keyshortcuts="/"
        value={query.get("q") ?? ""}
        onChange={(event) => setQuery({ q: event.target.value }, true)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            setQuery({ q: null, state: null }, true);
            focusTree();
          }
          if (event.key === "ArrowDown" || event.key === "Enter") {
            event.preventDefault();
            document.querySelector<HTMLElement>(".tree-scroll")?.focus();
          }
        }}
      />
      <select
        className="field"
        aria-label="Filter by state"
        aria-keyshortcuts="f"
        value={state ?? ""}
        onChange={(event) => setQuery({ state: event.target.value }, true)}
      >
        <option value="">all</option>
        {STATES.map((one) => (
          <option key={one} value={one}>
            {stateLabel(one)}
          </option>
        ))}
      </select>
      <span className={styles.failures} hidden={failed === 0}>
        <Button
          variant="quiet"
          aria-label="Previous failure"
          shortcut="p"
          disabled={failed === 0}
          onClick={() => void goToFailure(session, current, -1)}
        >
          ‹
        </Button>
        <span className={failed > 0 ? "state-error number" : "muted"}>
          {failed === 0 ? "no failures" : `${failed.toLocaleString("en")} failed`}
        </span>
        <Button
          variant="quiet"
          aria-label="Next failure"
          shortcut="n"
          disabled={failed === 0}
          onClick={() => void goToFailure(session, current, 1)}
        >
          ›
        </Button>
      </span>
      <Menu
        label="View"
        entries={[
          {
            label: "Open failures, close completed groups",
            onSelect: () => session.resetChoices(),
          },
          { label: "Close all groups", onSelect: () => session.collapseAll() },
          "separator",
          ...ORDERS.map((order) => ({
            label: ORDER_LABELS[order],
            checked: session.order.by === order,
            onSelect: () => session.setOrder(order),
          })),
        ]}
      />
    </div>
  );
}

function SelectionBar({ selected, onSelect, actions, targets }: TreePaneProps) {
  return (
    <div className={`${bulkStyles.bar} ${styles.bulk}`} role="toolbar" aria-label="Selected nodes">
      <strong role="status">{`${selected.size.toLocaleString("en")} selected`}</strong>
      <Button shortcut="r" onClick={() => void actions.nodes("rerun", targets)}>
        Rerun
      </Button>
      <Button shortcut="s" onClick={() => void actions.toggleSkip(targets)}>
        Skip
      </Button>
      <Button shortcut="k" variant="danger" onClick={() => void actions.nodes("kill", targets)}>
        Kill
      </Button>
      <Button shortcut="m" onClick={() => actions.modify(targets)}>
        Modify
      </Button>
      <Button
        onClick={() => setQuery({ node: null, tab: "output", nodes: pathsText([...selected]) })}
      >
        Show output
      </Button>
      <Button variant="quiet" shortcut="Esc" onClick={() => onSelect(new Set())}>
        Clear
      </Button>
    </div>
  );
}
