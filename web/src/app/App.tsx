import { Suspense, useEffect } from "react";

import { followLink, useLocation } from "@/app/location";
import { findRoute, ROUTES } from "@/app/routes";
import { useTheme } from "@/app/theme";
import { Empty } from "@/ui/Empty";
import { Toasts } from "@/ui/toasts";

export function App() {
  const { path } = useLocation();
  const found = findRoute(path);
  return (
    <div className="app">
      <TopBar path={path} />
      <main className="app-main">
        <Suspense fallback={null}>
          {found === null ? <UnknownPage /> : <found.route.page params={found.params} />}
        </Suspense>
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
        <img src="/icon.svg" alt="" width="18" height="18" />
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

function UnknownPage() {
  useEffect(() => {
    document.title = "Not found · Conducto";
  }, []);
  return (
    <Empty title="There is no such page">
      <a href="/" onClick={followLink}>
        All pipelines
      </a>
    </Empty>
  );
}
