import type { ButtonHTMLAttributes, Ref } from "react";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  variant?: "plain" | "main" | "approve" | "danger" | "quiet";
  /** Keyboard shortcut, shown in the tooltip. */
  shortcut?: string;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ variant = "plain", shortcut, className = "", title, ...rest }: Props) {
  const tip = [title, shortcut === undefined ? "" : `[${shortcut}]`].join(" ").trim();
  return (
    <button
      type="button"
      className={`button button-${variant} ${className}`}
      {...(tip === "" ? {} : { title: tip })}
      {...(shortcut === undefined ? {} : { "aria-keyshortcuts": shortcut })}
      {...rest}
    />
  );
}
