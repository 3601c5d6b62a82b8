/** Like `public/icon.svg`, in the colours of the theme. */
export function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="20" height="20" className="logo" aria-hidden>
      <rect fill="var(--ink)" width="32" height="32" rx="7" />
      <path
        d="M9 8v16M9 12h8M9 20h8"
        fill="none"
        stroke="var(--ink-text)"
        strokeWidth="2.4"
        strokeLinecap="round"
      />
      <circle fill="#8b7bff" cx="21" cy="12" r="3.2" />
      <circle fill="#5fca8d" cx="21" cy="20" r="3.2" />
    </svg>
  );
}
