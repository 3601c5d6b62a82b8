/** The share of the tree in the width of a pipeline's page, in percent. */

export const MIN_SHARE = 20;
export const MAX_SHARE = 70;
export const DEFAULT_SHARE = 40;
const STEP = 2;

export function clampShare(share: number): number {
  return Math.min(MAX_SHARE, Math.max(MIN_SHARE, share));
}

/** The stored share; the default if there is none or it is invalid. */
export function parseShare(text: string | null): number {
  const share = text === null || text === "" ? NaN : Number(text);
  return Number.isFinite(share) ? clampShare(share) : DEFAULT_SHARE;
}

/** The share after a key on the border, or null for other keys. */
export function moveShare(share: number, key: string): number | null {
  switch (key) {
    case "ArrowLeft":
      return clampShare(share - STEP);
    case "ArrowRight":
      return clampShare(share + STEP);
    case "Home":
      return MIN_SHARE;
    case "End":
      return MAX_SHARE;
    case "Enter":
      return DEFAULT_SHARE;
    default:
      return null;
  }
}
