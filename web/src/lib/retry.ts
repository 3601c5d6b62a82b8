/** Repeats work that failed for a passing reason, such as a request that the browser aborted. */

/** Delays before the next tries, in ms. */
const DELAYS_MS = [200, 600, 1500] as const;

/** Return the result of `work`, which is repeated while it fails in a way that `mayRepeat`. */
export async function retried<Result>(
  work: () => Promise<Result>,
  mayRepeat: (error: unknown) => boolean,
  signal?: AbortSignal | null,
): Promise<Result> {
  for (const delay of DELAYS_MS) {
    try {
      return await work();
    } catch (error) {
      if (!mayRepeat(error)) throw error;
    }
    await wait(delay, signal);
  }
  return await work();
}

/** Wait for some milliseconds. Throws `AbortError` if the signal aborts. */
export function wait(milliseconds: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
