import { useSyncExternalStore } from "react";

import { sessionLost } from "@/api/sessionLost";
import styles from "@/app/App.module.css";
import { ErrorBoundary } from "@/app/ErrorBoundary";
import { Navigation } from "@/app/Navigation";
import { findRoute } from "@/app/routes";
import { useHelp } from "@/app/useHelp";
import { usePalette } from "@/app/usePalette";
import { EmptyState } from "@/components/EmptyState";
import { OfflineBanner } from "@/components/OfflineBanner";
import { SignedOut } from "@/components/SignedOut";
import { SkipLink } from "@/components/SkipLink";
import { Toasts } from "@/components/toasts";
import { useNotifications } from "@/components/useNotifications";
import { useTitle } from "@/components/useTitle";
import { followLink, useLocation } from "@/lib/location";

/** `expired`: the URL had an invalid sign-in code. */
export function App({ expired }: { expired: boolean }) {
  const { path } = useLocation();
  const found = findRoute(path);
  const lost = useSyncExternalStore(sessionLost.subscribe, sessionLost.current);
  const [palette, openPalette] = usePalette(path);
  const help = useHelp(path);
  useNotifications();
  return (
    <div className={styles.app}>
      <SkipLink />
      <Navigation path={path} onSearch={openPalette} />
      <main id="main" className={styles.main} tabIndex={-1}>
        <ErrorBoundary path={path}>
          {(expired || lost) && found?.route.open !== true ? (
            <SignedOut expired={expired} />
          ) : found === null ? (
            <UnknownPage path={path} />
          ) : (
            <found.route.page params={found.params} />
          )}
        </ErrorBoundary>
      </main>
      {palette}
      {help}
      <div className={styles.notices}>
        <Toasts />
        <OfflineBanner />
      </div>
    </div>
  );
}

function UnknownPage({ path }: { path: string }) {
  useTitle("Not found");
  return (
    <EmptyState heading title="Page not found">
      <p className="muted">
        <code className={styles.unknown}>{path}</code> does not exist.
      </p>
      <a href="/" onClick={followLink}>
        All pipelines
      </a>
    </EmptyState>
  );
}
