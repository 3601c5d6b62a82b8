/** Explains the shapes in the chart. */
export function Legend({ groups, bars }: { groups: boolean; bars: boolean }) {
  return (
    <ul className="tl-legend muted" aria-label="Legend">
      {groups ? <GroupItems /> : null}
      {bars ? <BarItems /> : null}
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect y="6" width="20" height="2" className="tl-critical" />
        </svg>
        critical path
      </li>
    </ul>
  );
}

function GroupItems() {
  return (
    <>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <path d="M0 14V9h5V2h6v4h5v5h4v3z" className="tl-running" />
        </svg>
        running commands over time
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <path d="M10 0v14M6 1l8 7M14 1l-8 7" className="tl-failed" />
        </svg>
        failure
      </li>
    </>
  );
}

function BarItems() {
  return (
    <>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <path d="M0 7h20" className="tl-wait-image" />
          <path d="M1 2v10M5 2v10M9 2v10M13 2v10M17 2v10" className="tl-wait-image" />
        </svg>
        waiting for image
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect y="5" width="20" height="4" className="tl-queued" />
        </svg>
        waiting for a slot
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <path d="M20 3H1v8h19" className="tl-wait-start" />
        </svg>
        waiting for container
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect y="6" width="20" height="2" className="tl-wait" />
        </svg>
        unknown wait
      </li>
      <li>
        <svg viewBox="0 0 20 14" width="20" height="14" aria-hidden>
          <rect width="20" height="14" className="tl-running" />
          <path d="M9 0v14M13 0v14M17 0v14" className="tl-cut" />
        </svg>
        running
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
        failed
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
