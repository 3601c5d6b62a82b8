import * as Radix from "@radix-ui/react-dropdown-menu";
import { useEffect, useRef, type RefObject } from "react";

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
  label: string;
  entries: readonly MenuEntry[];
  /** The button that opened the menu, and that closes it. */
  button: RefObject<HTMLElement | null>;
  /** The keyboard opened the menu. */
  focusFirst: boolean;
  onClose: () => void;
}

/** The open menu of a button. */
export function MenuContent({ label, entries, button, focusFirst, onClose }: Props) {
  const content = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (focusFirst) content.current?.querySelector<HTMLElement>("[role^=menuitem]")?.focus();
  }, [focusFirst]);
  return (
    <Radix.Root modal={false} open onOpenChange={onClose}>
      <Radix.Trigger asChild>
        <span className={styles.anchor} aria-hidden />
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          ref={content}
          className={styles.menu}
          aria-label={label}
          aria-labelledby={undefined}
          align="end"
          sideOffset={4}
          collisionPadding={8}
          onInteractOutside={(event) => {
            // Its click closes the menu.
            if (button.current?.contains(event.target as Node) === true) event.preventDefault();
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            button.current?.focus();
          }}
        >
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
