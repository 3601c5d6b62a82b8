import { useSyncExternalStore } from "react";

import { currentOutage, type Outage, subscribeToConnection, tryNow } from "@/api/connection";
import { SERVER, START_COMMAND } from "@/api/deployment";
import bannerStyles from "@/components/Banner.module.css";
import { Button } from "@/components/Button";
import styles from "@/components/OfflineBanner.module.css";
import { useNow } from "@/components/useNow";
import { duration } from "@/lib/time";

/** A banner on every page while the server does not respond. */
export function OfflineBanner() {
  const outage = useSyncExternalStore(subscribeToConnection, currentOutage);
  return outage === null ? null : <Banner outage={outage} />;
}

function Banner({ outage: { lostAt, nextTry } }: { outage: Outage }) {
  useNow(true); // it counts
  const now = performance.now();
  const [lost, wait] = [Math.floor((now - lostAt) / 1000), Math.ceil((nextTry - now) / 1000)];
  return (
    <div className={`${bannerStyles.banner ?? ""} ${styles.floating ?? ""}`}>
      {/* Screen readers announce the outage, not each second of it. */}
      <span className="sr-only" role="status">
        Offline: {SERVER.toLowerCase()} does not respond. Showing the last known state; the page
        reconnects automatically.
      </span>
      <span>
        {`Offline: ${SERVER.toLowerCase()} has not answered for ${lost < 60 ? `${lost}s` : duration(lost)}.`}{" "}
        <span className="number">{wait > 0 ? `Next try in ${wait}s.` : "Trying now…"}</span>
        {START_COMMAND === null ? null : (
          <>
            {" "}
            <code>{START_COMMAND}</code> starts it.
          </>
        )}
      </span>
      <Button onClick={tryNow}>Retry now</Button>
    </div>
  );
}
