interface Props {
  /** How many lines of what is to come are hinted at. */
  rows?: number;
}

/** What stands where something is on its way. It comes a little late: quick answers do not flash. */
export function Loading({ rows = 6 }: Props) {
  return (
    <div className="loading" role="status">
      <span className="sr-only">Loading…</span>
      {Array.from({ length: rows }, (_, place) => (
        <span key={place} className="loading-row" aria-hidden />
      ))}
    </div>
  );
}
