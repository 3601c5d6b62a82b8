import { type ReactNode } from "react";
import { Group, Panel, Separator, useDefaultLayout } from "react-resizable-panels";

import { stored } from "@/lib/stored";
import styles from "@/pages/pipeline/Panes.module.css";
import { PANES } from "@/strings";

interface Props {
  /** Small screens show one pane at a time. */
  onePane: boolean;
  shown: "tree" | "node";
  tree: ReactNode;
  node: ReactNode;
}

/**
 * The tree and the node side by side, with a border that can be moved and is remembered. Keys of
 * the page act inside only (`data-keys`).
 */
export function Panes({ onePane, shown, tree, node }: Props) {
  const layout = useDefaultLayout({ id: "conducto.split", storage: stored });
  if (onePane) {
    return (
      <div className={styles.single} data-keys data-shown={shown}>
        {tree}
        {node}
      </div>
    );
  }
  return (
    <Group className={styles.split} data-keys {...layout}>
      <Panel id="tree" className={styles.panel} defaultSize="40%" minSize="20%" maxSize="70%">
        {tree}
      </Panel>
      <Separator className={styles.separator} aria-label={PANES.resize} />
      <Panel id="node" className={styles.panel}>
        {node}
      </Panel>
    </Group>
  );
}
