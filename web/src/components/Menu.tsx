import * as Radix from "@radix-ui/react-dropdown-menu";

import { Button } from "@/components/Button";

export interface MenuAction {
  label: string;
  onSelect: () => void;
  shortcut?: string;
  disabled?: boolean;
}

/** A menu item that downloads a URL. */
export interface MenuDownload {
  label: string;
  download: string;
}

export type MenuEntry = MenuAction | MenuDownload;

/** A button that opens a menu of actions and downloads. */
export function Menu({ label, entries }: { label: string; entries: readonly MenuEntry[] }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>
        <Button aria-label={label} title={label}>
          ⋯
        </Button>
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content className="menu" align="end" sideOffset={4}>
          {entries.map((entry) =>
            "download" in entry ? (
              <Radix.Item key={entry.label} className="menu-item" asChild>
                <a href={entry.download} download>
                  {entry.label}
                </a>
              </Radix.Item>
            ) : (
              <Radix.Item
                key={entry.label}
                className="menu-item"
                onSelect={entry.onSelect}
                disabled={entry.disabled ?? false}
              >
                {entry.label}
                {entry.shortcut === undefined ? null : <kbd>{entry.shortcut}</kbd>}
              </Radix.Item>
            ),
          )}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
