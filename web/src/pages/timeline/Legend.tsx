/** What the shapes mean: of the rows of groups, of bars. */
export function Legend({ groups, bars }: { groups: boolean; bars: boolean }) {
  return (
    <ul className="tl-legend muted" aria-label="Legend">
      {groups ? <OfGroups /> : null}
      {bars ? <OfBars /> : null}
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect y="6" width="20" height="2" className="tl-critical" />
        </svg>
        critical path
      </li>
    </ul>
  );
}

function OfGroups() {
  return (
    <>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <path d="M0 14V9h5V2h6v4h5v5h4v3z" className="tl-running" />
        </svg>
        how many ran at a time
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <path d="M10 0v14M6 1l8 7M14 1l-8 7" className="tl-failed" />
        </svg>
        one failed
      </li>
    </>
  );
}

function OfBars() {
  return (
    <>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <path d="M0 7h20" className="tl-wait-image" />
          <path d="M1 2v10M5 2v10M9 2v10M13 2v10M17 2v10" className="tl-wait-image" />
        </svg>
        waits for its image
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect y="5" width="20" height="4" className="tl-queued" />
        </svg>
        its turn
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <path d="M20 3H1v8h19" className="tl-wait-start" />
        </svg>
        its container
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect y="6" width="20" height="2" className="tl-wait" />
        </svg>
        not known
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
    </>
  );
}
