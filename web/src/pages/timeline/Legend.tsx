/** What the shapes mean. */
export function Legend() {
  return (
    <ul className="tl-legend muted" aria-label="Legend">
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect y="5" width="20" height="4" className="tl-queued" />
        </svg>
        waits
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect width="20" height="14" className="tl-running" />
          <path d="M9 0v14M13 0v14M17 0v14" className="tl-cut" />
        </svg>
        runs
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect width="20" height="14" className="tl-done" />
        </svg>
        done
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect width="20" height="14" className="tl-error" />
          <path d="M4 4l6 6M10 4l-6 6" className="tl-cut" />
        </svg>
        error
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect width="20" height="14" className="tl-killed" />
          <path d="M4 7h6" className="tl-cut" />
        </svg>
        killed
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect y="6" width="20" height="2" className="tl-critical" />
        </svg>
        critical path
      </li>
    </ul>
  );
}
