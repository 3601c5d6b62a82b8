import { useState } from "react";

import { lazily } from "@/components/lazily";
import { takeTour } from "@/lib/tour";

const Tour = lazily(async () => (await import("@/components/Tour")).Tour, {
  placeholder: null,
  ahead: false,
});

/** Hints on the first pipeline of a newcomer. */
export function FirstTour() {
  const [shown, setShown] = useState(takeTour);
  return shown ? <Tour onClose={() => setShown(false)} /> : null;
}
