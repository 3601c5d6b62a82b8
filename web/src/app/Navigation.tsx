import { useEffect, useRef } from "react";

import styles from "@/app/Navigation.module.css";
import { ROUTES } from "@/app/routes";
import { showHelp } from "@/components/help";
import { Icon, type IconName } from "@/components/Icon";
import { followLink, isPipelinePath } from "@/lib/location";
import { type Theme, useTheme } from "@/lib/theme";

const THEME_ICONS: Record<Theme, IconName> = { system: "system", light: "sun", dark: "moon" };

/**
 * Links to the pages: a sidebar, on the pages of a pipeline and in narrow windows a rail of icons,
 * and on a phone a bar at the top.
 */
export function Navigation({ path, onSearch }: { path: string; onSearch: () => void }) {
  const [theme, nextTheme] = useTheme();
  const isRail = isPipelinePath(path);
  const links = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone, not all links fit. Before a frame, because the layout is computed then anyway.
    const frame = requestAnimationFrame(() => {
      const current = links.current?.querySelector("[aria-current]");
      current?.scrollIntoView({ block: "nearest", inline: "center" });
    });
    return () => cancelAnimationFrame(frame);
  }, [path]);
  return (
    <header className={`${styles.bar} ${isRail ? styles.rail : ""}`}>
      <a className={styles.name} href="/" onClick={followLink} title="All pipelines">
        <Logo />
        <span className={styles.word}>Conducto</span>
      </a>
      <button
        type="button"
        className={styles.link}
        onClick={onSearch}
        title="Search"
        aria-keyshortcuts="Control+K"
      >
        <Icon name="search" />
        <span className={styles.word}>Search</span>
        <kbd className={styles.key} aria-hidden>
          Ctrl K
        </kbd>
      </button>
      <nav ref={links} aria-label="Pages" className={styles.links}>
        {ROUTES.map(({ path: to, nav }) =>
          nav === undefined ? null : (
            <a
              key={to}
              className={styles.link}
              href={to}
              title={nav.label}
              onClick={followLink}
              data-last={to === "/settings" || undefined}
              {...(isWithin(path, to) ? { "aria-current": "page" as const } : {})}
            >
              <Icon name={nav.icon} />
              <span className={styles.word}>{nav.label}</span>
            </a>
          ),
        )}
      </nav>
      <button
        type="button"
        className={`${styles.link} ${styles.theme}`}
        onClick={() => showHelp(true)}
        title="Help"
        aria-keyshortcuts="?"
      >
        <Icon name="help" />
        <span className={styles.word}>Help</span>
        <kbd className={styles.key} aria-hidden>
          ?
        </kbd>
      </button>
      <button
        type="button"
        className={`${styles.link} ${styles.theme}`}
        onClick={nextTheme}
        title={`Theme: ${theme}`}
      >
        <Icon name={THEME_ICONS[theme]} />
        <span className={styles.word}>{`Theme: ${theme}`}</span>
      </button>
    </header>
  );
}

/** Pipelines belong to the list. */
function isWithin(path: string, page: string): boolean {
  return page === "/"
    ? path === "/" || path === "/program" || isPipelinePath(path)
    : path === page || path.startsWith(`${page}/`);
}

/** Like `public/icon.svg`, in the colours of the theme. */
function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="20" height="20" className="logo" aria-hidden>
      <rect fill="var(--ink)" width="32" height="32" rx="7" />
      <path
        d="M9 8v16M9 12h8M9 20h8"
        fill="none"
        stroke="var(--ink-text)"
        strokeWidth="2.4"
        strokeLinecap="round"
      />
      <circle fill="#8b7bff" cx="21" cy="12" r="3.2" />
      <circle fill="#5fca8d" cx="21" cy="20" r="3.2" />
    </svg>
  );
}
