import { Suspense } from "react";

import { ErrorBoundary } from "@/app/ErrorBoundary";
import { findRoute, ROUTES } from "@/app/routes";
import { EmptyState } from "@/components/EmptyState";
import { Logo } from "@/components/Logo";
import { SignedOut } from "@/components/SignedOut";
import { Toasts } from "@/components/toasts";
import { useNotifications } from "@/components/useNotifications";
import { useTitle } from "@/components/useTitle";
import { followLink, useLocation } from "@/lib/location";
import { useTheme } from "@/lib/theme";

/** `expired`: the URL had an invalid sign-in code. */
export function App({ expired }: { expired: boolean }) {
  const { path } = useLocation();
  const found = findRoute(path);
  useNotifications();
  return (
    <div className="app">
      <TopBar path={path} />
      <main className="app-main">
        <ErrorBoundary path={path}>
          <Suspense fallback={null}>
            {expired ? (
              <SignedOut expired />
            ) : found === null ? (
              <UnknownPage path={path} />
            ) : (
              <found.route.page params={found.params} />
            )}
          </Suspense>
        </ErrorBoundary>
      </main>
      <Toasts />
    </div>
  );
}

function TopBar({ path }: { path: string }) {
  const [theme, nextTheme] = useTheme();
  return (
    <header className="topbar">
      <a className="topbar-name" href="/" onClick={followLink}>
        <Logo />
        <span className="topbar-word">Conducto</span>
      </a>
      <nav aria-label="Pages" className="topbar-nav">
        {ROUTES.filter((route) => route.nav !== undefined).map((route) => (
          <a
            key={route.path}
            href={route.path}
            onClick={followLink}
            {...(route.path === path ? { "aria-current": "page" as const } : {})}
          >
            {route.nav}
          </a>
        ))}
      </nav>
      <button type="button" className="button button-quiet topbar-theme" onClick={nextTheme}>
        Theme: {theme}
      </button>
    </header>
  );
}

function UnknownPage({ path }: { path: string }) {
  useTitle("Not found");
  return (
    <EmptyState title="Page not found">
      <p className="muted">
        <code className="app-unknown">{path}</code> does not exist.
      </p>
      <a href="/" onClick={followLink}>
        All pipelines
      </a>
    </EmptyState>
  );
}
