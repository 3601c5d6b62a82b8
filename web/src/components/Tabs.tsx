import type { KeyboardEvent, ReactNode } from "react";

import styles from "@/components/Tabs.module.css";

interface Props<Tab extends string> {
  /** Accessible label. */
  label: string;
  tabs: readonly Tab[];
  current: Tab;
  onSelect: (tab: Tab) => void;
  /** The text of a tab. */
  children: (tab: Tab) => ReactNode;
}

/** A row of tabs. One of them is a stop of the Tab key; arrow keys, Home and End select others. */
export function TabList<Tab extends string>(props: Props<Tab>) {
  const { label, tabs, current, onSelect, children } = props;
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const place = placeAfter(event.key, tabs.indexOf(current), tabs.length);
    const next = place === null ? undefined : tabs[place];
    if (place === null || next === undefined) return;
    event.preventDefault();
    onSelect(next);
    (event.currentTarget.children[place] as HTMLElement | undefined)?.focus();
  };
  return (
    <div className={styles.tabs} role="tablist" aria-label={label} onKeyDown={onKeyDown}>
      {tabs.map((tab) => (
        <button
          key={tab}
          type="button"
          role="tab"
          id={`tab-${tab}`}
          className={styles.tab}
          aria-selected={tab === current}
          aria-controls={tab === current ? `panel-${tab}` : undefined}
          tabIndex={tab === current ? 0 : -1}
          onClick={() => onSelect(tab)}
        >
          {children(tab)}
        </button>
      ))}
    </div>
  );
}

/** The attributes of the content of a tab. */
export function panelOf(tab: string) {
  return { role: "tabpanel", id: `panel-${tab}`, "aria-labelledby": `tab-${tab}` } as const;
}

/** The place in a row of `count` that a key moves to; null: it is another key. */
export function placeAfter(key: string, place: number, count: number): number | null {
  if (key === "ArrowRight") return (place + 1) % count;
  if (key === "ArrowLeft") return (place - 1 + count) % count;
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}
