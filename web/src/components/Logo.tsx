/** Same as `public/icon.svg`, inlined to save a request. */
export function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="18" height="18" className="logo" aria-hidden>
      <rect className="logo-ground" width="32" height="32" rx="7" />
      <path className="logo-line" d="M9 8v16M9 12h8M9 20h8" />
      <circle className="logo-dot" cx="21" cy="12" r="3.2" />
      <circle className="logo-done" cx="21" cy="20" r="3.2" />
    </svg>
  );
}
