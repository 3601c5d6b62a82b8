import { SERVER, START_COMMAND } from "@/api/deployment";
import { Button } from "@/components/Button";

/** A banner for a page that has lost its server and shows old data. */
export function OfflineBanner({ onRetry }: { onRetry?: () => void }) {
  return (
    <div className="banner" role="status">
      <span>
        Offline: {SERVER.toLowerCase()} does not respond. Showing the last known state; the page
        reconnects automatically.
        {START_COMMAND === null ? null : (
          <>
            {" "}
            <code>{START_COMMAND}</code> starts it.
          </>
        )}
      </span>
      {onRetry === undefined ? null : <Button onClick={onRetry}>Retry now</Button>}
    </div>
  );
}
