/** Whether the hints about a pipeline are due: once, after the page with the first steps. */

import { stored } from "@/lib/stored";

const KEY = "conducto.tour";

/** Show the hints on the next page of a pipeline, unless they were shown before. */
export function planTour(): void {
  if (stored.getItem(KEY) === null) stored.setItem(KEY, "due");
}

/** Return whether the hints are due, and remember that they were shown. */
export function takeTour(): boolean {
  const due = stored.getItem(KEY) === "due";
  if (due) stored.setItem(KEY, "shown");
  return due;
}
