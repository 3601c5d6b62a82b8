import { useRef, useState, type ReactNode } from "react";

import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { lazily } from "@/components/lazily";
import type { MenuEntry } from "@/components/MenuContent";
import styles from "@/components/Menu.module.css";

const MenuContent = lazily(async () => (await import("@/components/MenuContent")).MenuContent, {
  placeholder: null,
});

export type { MenuEntry } from "@/components/MenuContent";

interface Props {
  /** The name of the menu. */
  label: string;
  entries: readonly MenuEntry[];
  /** Content of the button; three dots by default. */
  caption?: ReactNode;
  shortcut?: string;
}

/** A button that opens a menu of actions and downloads, whose code is loaded on demand. */
export function Menu({ label, entries, caption, shortcut }: Props) {
  const button = useRef<HTMLButtonElement>(null);
  const [opened, setOpened] = useState<"pointer" | "keyboard" | null>(null);
  return (
    <span className={styles.place}>
      <Button
        ref={button}
        variant={caption === undefined ? "quiet" : "plain"}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={opened !== null}
        title={label}
        // A click from the keyboard has no position.
        onClick={({ detail }) =>
          setOpened(opened !== null ? null : detail > 0 ? "pointer" : "keyboard")
        }
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown") return;
          event.preventDefault();
          event.stopPropagation();
          setOpened("keyboard");
        }}
        {...(shortcut === undefined ? {} : { shortcut })}
      >
        {caption ?? <Icon name="more" />}
      </Button>
      {opened === null ? null : (
        <MenuContent
          label={label}
          entries={entries}
          button={button}
          focusFirst={opened === "keyboard"}
          onClose={() => setOpened(null)}
        />
      )}
    </span>
  );
}
