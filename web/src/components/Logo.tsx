/** Same as `public/icon.svg`, inlined to save a request. */
export function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="18" height="18" className="logo" aria-hidden>
      <rect fill="#1f4fd8" width="32" height="32" rx="7" />
      <path
        d="M9 8v16M9 12h8M9 20h8"
        fill="none"
        stroke="#fff"
        strokeWidth="2.4"
        strokeLinecap="round"
      />
      <circle fill="#fff" cx="21" cy="12" r="3.2" />
      <circle fill="#9fd8a8" cx="21" cy="20" r="3.2" />
    </svg>
  );
}
