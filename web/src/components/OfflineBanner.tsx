import { useQueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";

import { isOffline, subscribeToConnection } from "@/api/connection";
import { SERVER, START_COMMAND } from "@/api/deployment";
import bannerStyles from "@/components/Banner.module.css";
import { Button } from "@/components/Button";
import styles from "@/components/OfflineBanner.module.css";
import { OFFLINE } from "@/strings";

/** A banner on every page while the server does not respond. */
export function OfflineBanner() {
  const offline = useSyncExternalStore(subscribeToConnection, isOffline);
  const client = useQueryClient();
  if (!offline) return null;
  const onRetry = () => {
    window.dispatchEvent(new Event("online")); // event streams reconnect
    void client.refetchQueries({ type: "active" });
  };
  return (
    <div className={`${bannerStyles.banner ?? ""} ${styles.floating ?? ""}`} role="status">
      <span>
        {OFFLINE.text(SERVER.toLowerCase())}
        {START_COMMAND === null ? null : (
          <>
            {" "}
            <code>{START_COMMAND}</code> {OFFLINE.starts}
          </>
        )}
      </span>
      <Button onClick={onRetry}>{OFFLINE.retry}</Button>
    </div>
  );
}
