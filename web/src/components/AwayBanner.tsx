import { SERVER, WAKING } from "@/api/side";
import { Button } from "@/components/Button";

/** Says that what is shown is not live, because nobody answers. */
export function AwayBanner({ onRetry }: { onRetry?: () => void }) {
  return (
    <div className="banner" role="status">
      <span>
        Offline: {SERVER.toLowerCase()} does not answer; this is what it said last. The page goes on
        by itself when it is back.
        {WAKING === null ? null : (
          <>
            {" "}
            <code>{WAKING}</code> starts it.
          </>
        )}
      </span>
      {onRetry === undefined ? null : <Button onClick={onRetry}>Try now</Button>}
    </div>
  );
}
