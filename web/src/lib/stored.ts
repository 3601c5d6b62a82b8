/** Values in the browser's storage, which users may have disabled. */

export const stored = {
  getItem(key: string): string | null {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  setItem(key: string, value: string): void {
    try {
      localStorage.setItem(key, value);
    } catch {
      // Without storage, the value lasts until the page is closed.
    }
  },
};
