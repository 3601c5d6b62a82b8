/**
 * Scripts that are loaded on demand, and ahead of time so that the page survives being offline, and
 * their style sheets.
 */

import { retried } from "@/lib/retry";

type Load = () => Promise<unknown>;

/** Time after the start before scripts are loaded ahead, in ms: the first page comes first. */
const DELAY_MS = 3000;

const loads: Load[] = [];

/** Register a dynamic import for loading ahead. */
export function preloadable<Module>(load: () => Promise<Module>): () => Promise<Module> {
  loads.push(load);
  return load;
}

/** Load all registered scripts one after another when the browser is idle. */
export function preloadWhenIdle(): void {
  const idle = (work: () => void) => {
    if ("requestIdleCallback" in window) window.requestIdleCallback(work);
    else setTimeout(work, 0);
  };
  const next = (index: number) => {
    const load = loads[index];
    if (load === undefined) return;
    // A script that fails is requested again when it is needed.
    const proceed = () => idle(() => next(index + 1));
    void load().then(proceed, proceed);
  };
  setTimeout(() => idle(() => next(0)), DELAY_MS);
}

/** Marks style sheets that `stylesLoaded` loads. */
const AGAIN = "again";
/** Style sheets that could not be loaded, and their next tries. */
const failedStyles = new Map<HTMLLinkElement, Promise<void> | null>();

/**
 * Load style sheets again that could not be loaded. Vite loads each one once, and then runs its
 * script without it.
 */
export function watchStyles(): void {
  for (const link of document.querySelectorAll("link")) noteFailed(link);
  // Errors of elements do not bubble.
  window.addEventListener("error", ({ target }) => noteFailed(target), { capture: true });
  window.addEventListener("vite:preloadError", (event) => {
    // `stylesLoaded` loads it before the script is used; other errors are those of scripts.
    if (event.payload.message.includes("CSS")) event.preventDefault();
  });
}

function noteFailed(target: EventTarget | null): void {
  const isStyle = target instanceof HTMLLinkElement && target.rel === "stylesheet";
  const isNew = isStyle && target.sheet === null && !(AGAIN in target.dataset);
  if (isNew) failedStyles.set(target, null);
}

/** Wait until the styles of all loaded scripts are applied. */
export async function stylesLoaded(): Promise<void> {
  const tries = [...failedStyles].map(([link, current]) => {
    const next =
      current ??
      retried(
        () => loadAgain(link),
        () => true,
      );
    failedStyles.set(link, next);
    return next.then(
      () => failedStyles.delete(link),
      (error: unknown) => {
        failedStyles.set(link, null);
        throw error;
      },
    );
  });
  await Promise.all(tries);
}

/** Load a style sheet into the place that a link had among the others. */
async function loadAgain(link: HTMLLinkElement): Promise<void> {
  const fresh = link.cloneNode() as HTMLLinkElement;
  fresh.dataset[AGAIN] = "";
  await new Promise((resolve, reject) => {
    fresh.onload = resolve;
    fresh.onerror = () => {
      fresh.remove();
      reject(new Error(`could not load ${link.href}`));
    };
    link.after(fresh);
  });
  link.remove();
}
