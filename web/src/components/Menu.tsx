import * as Radix from "@radix-ui/react-dropdown-menu";
import type { ReactNode } from "react";

import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import styles from "@/components/Menu.module.css";

export interface MenuAction {
  label: string;
  onSelect: () => void;
  /** A second line. */
  hint?: string;
  shortcut?: string;
  disabled?: boolean;
}

/** A menu item that downloads a URL. */
export interface MenuDownload {
  label: string;
  download: string;
}

/** A menu item that is on or off. */
export interface MenuToggle {
  label: string;
  checked: boolean;
  onSelect: () => void;
}

export type MenuEntry = MenuAction | MenuDownload | MenuToggle | "separator";

interface Props {
  /** The name of the menu. */
  label: string;
  entries: readonly MenuEntry[];
  /** Content of the button; three dots by default. */
  caption?: ReactNode;
  shortcut?: string;
}

/** A button that opens a menu of actions and downloads. */
export function Menu({ label, entries, caption, shortcut }: Props) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>
        <Button
          variant={caption === undefined ? "quiet" : "plain"}
          aria-label={label}
          title={label}
          {...(shortcut === undefined ? {} : { shortcut })}
        >
          {caption ?? <Icon name="more" />}
        </Button>
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content className={styles.menu} align="end" sideOffset={4} collisionPadding={8}>
          {entries.map((entry, place) => (
            <Entry key={place} entry={entry} />
          ))}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

function Entry({ entry }: { entry: MenuEntry }) {
  if (entry === "separator") return <Radix.Separator className={styles.separator} />;
  if ("download" in entry) {
    return (
      <Radix.Item className={styles.item} asChild>
        <a href={entry.download} download>
          {entry.label}
        </a>
      </Radix.Item>
    );
  }
  if ("checked" in entry) {
    return (
      <Radix.CheckboxItem
        className={styles.item}
        checked={entry.checked}
        onCheckedChange={entry.onSelect}
      >
        {entry.label}
        <span aria-hidden>{entry.checked ? "✓" : ""}</span>
      </Radix.CheckboxItem>
    );
  }
  return (
    <Radix.Item
      className={styles.item}
      onSelect={entry.onSelect}
      disabled={entry.disabled ?? false}
      {...(entry.shortcut === undefined ? {} : { "aria-keyshortcuts": entry.shortcut })}
    >
      <span>
        {entry.label}
        {entry.hint === undefined ? null : <span className={styles.hint}>{entry.hint}</span>}
      </span>
      {entry.shortcut === undefined ? null : <kbd aria-hidden>{entry.shortcut}</kbd>}
    </Radix.Item>
  );
}
