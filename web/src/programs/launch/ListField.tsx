import { useState } from "react";

import { Icon } from "@/components/Icon";
import { itemsOf, wordOfItems } from "@/programs/model/parameters";
import styles from "@/programs/launch/Fields.module.css";

interface Props {
  id: string;
  word: string;
  describedBy: string;
  invalid: boolean;
  onChange: (word: string) => void;
}

/** The items of a list; Enter or a comma adds one, Backspace removes the last. */
export function ListField({ id, word, describedBy, invalid, onChange }: Props) {
  const [draft, setDraft] = useState("");
  const items = itemsOf(word);
  const add = () => {
    if (draft.trim() === "") return;
    onChange(wordOfItems([...items, draft.trim()]));
    setDraft("");
  };
  return (
    <div className={`field ${styles.list}`} data-invalid={invalid || undefined}>
      {items.map((item, place) => (
        <span key={place} className={styles.item}>
          {item === "" ? "(empty)" : item}
          <button
            type="button"
            aria-label={`Remove ${item}`}
            onClick={() => onChange(wordOfItems(items.filter((_, other) => other !== place)))}
          >
            <Icon name="close" />
          </button>
        </span>
      ))}
      <input
        id={id}
        value={draft}
        placeholder="Add an item"
        aria-describedby={describedBy}
        aria-invalid={invalid}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={add}
        onKeyDown={(event) => {
          if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey) || event.key === ",") {
            event.preventDefault();
            add();
          } else if (event.key === "Backspace" && draft === "" && items.length > 0) {
            onChange(wordOfItems(items.slice(0, -1)));
          }
        }}
      />
    </div>
  );
}
