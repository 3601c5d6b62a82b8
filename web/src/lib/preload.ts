/** Scripts that are loaded on demand, and ahead of time so that the page survives being offline. */

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
