import { useRef } from "react";

import { Icon } from "@/components/Icon";
import styles from "@/components/SearchField.module.css";
import { useKeys } from "@/components/useKeys";

interface Props {
  label: string;
  placeholder: string;
  text: string;
  onChange: (text: string) => void;
}

/** The search field of a page. The key / focuses it. */
export function SearchField({ label, placeholder, text, onChange }: Props) {
  const field = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => field.current?.focus() });
  return (
    <label className={styles.search}>
      <Icon name="search" />
      <input
        ref={field}
        type="search"
        placeholder={placeholder}
        aria-label={label}
        value={text}
        onChange={(event) => onChange(event.target.value)}
      />
      <kbd aria-hidden>/</kbd>
    </label>
  );
}
