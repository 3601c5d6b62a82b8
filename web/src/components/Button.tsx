import type { ButtonHTMLAttributes } from "react";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "plain" | "main" | "danger" | "quiet";
  /** Key that does the same; shown in the tooltip. */
  shortcut?: string;
}

export function Button({ look = "plain", shortcut, className = "", title, ...rest }: Props) {
  const tip = [title, shortcut === undefined ? "" : `[${shortcut}]`].join(" ").trim();
  return (
    <button
      type="button"
      className={`button button-${look} ${className}`}
      {...(tip === "" ? {} : { title: tip })}
      {...(shortcut === undefined ? {} : { "aria-keyshortcuts": shortcut })}
      {...rest}
    />
  );
}
