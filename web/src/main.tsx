import "@/api/early";
import "@/styles/tokens.css";
import "@/styles/base.css";
import "@/components/components.css";

import { QueryClientProvider } from "@tanstack/react-query";
import { options } from "preact";
import { createRoot } from "react-dom/client";

import { ping } from "@/api/client";
import { attention, watchConnection } from "@/api/connection";
import { IN_CLOUD } from "@/api/deployment";
import { reloadOnNewCode, signInWithCode, takeCodeFromUrl } from "@/api/session";
import { App } from "@/app/App";
import { queryClient } from "@/app/queryClient";
import { toast } from "@/components/toasts";
import { preloadWhenIdle, stylesLoaded, watchStyles } from "@/lib/preload";

/** Sign in with the code in the URL, if any. Returns whether the code was rejected. */
async function isExpired(): Promise<boolean> {
  if (!IN_CLOUD) return false;
  reloadOnNewCode();
  const code = takeCodeFromUrl();
  if (code === null) return false;
  const entry = await signInWithCode(
    code,
    (before, after) =>
      window.confirm(
        `This address signs you in as ${after.user} of ${after.org}. ` +
          `You are signed in as ${before.user} of ${before.org}. Change to ${after.user}?`,
      ),
    ({ user, org }) => toast(`Signed in as ${user} of ${org}`),
  );
  return entry === "no";
}

/** Wait for the styles of the page; without them it is at least readable. */
const appliedStyles = () => stylesLoaded().catch(() => undefined);

async function start(place: HTMLElement): Promise<void> {
  const [expired] = await Promise.all([isExpired(), appliedStyles()]);
  createRoot(place).render(
    <QueryClientProvider client={queryClient}>
      <App expired={expired} />
    </QueryClientProvider>,
  );
}

// As in React, the effects of an event run before the next event. Otherwise Enter directly after a
// key press sends the value before that key: useMutation stores its options in an effect.
options.requestAnimationFrame = queueMicrotask;

const place = document.getElementById("app");
watchStyles();
attention.subscribe(() => void appliedStyles());
if (place !== null) void start(place);
watchConnection(ping);
preloadWhenIdle();
