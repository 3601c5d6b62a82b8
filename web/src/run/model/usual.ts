/** The usual time of a command. */

export interface UsualTime {
  /** The median in seconds; null if it has never passed. */
  usual: number | null;
  /** 95 % took at most so many seconds; null for a few runs. */
  slow: number | null;
}

/** A run takes long beyond this multiple of the usual time, if there are too few for a percentile. */
const LONG = 2;
/** Times that differ by less are not worth a word, in seconds. */
const NOISE = 0.5;

/** Whether a time is beyond nearly all others, or twice the usual. */
export function isLong(seconds: number | null, time: UsualTime | undefined): boolean {
  if (seconds === null || time === undefined || time.usual === null) return false;
  return seconds > (time.slow ?? LONG * time.usual) && seconds - time.usual > NOISE;
}
