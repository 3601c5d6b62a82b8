import "@/styles/tokens.css";
import "@/styles/base.css";
import "@/ui/ui.css";
import "@/app/app.css";

import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";

import { comeIn, comeInWhenAsked, takeCode } from "@/api/session";
import { IN_CLOUD } from "@/api/side";
import { App } from "@/app/App";
import { queryClient } from "@/app/queryClient";

/** The agent takes a good code out of the address: one that is still there was no good. */
async function isExpired(): Promise<boolean> {
  if (!IN_CLOUD) return new URLSearchParams(location.search).has("code");
  comeInWhenAsked();
  const code = takeCode();
  return code !== null && !(await comeIn(code));
}

async function start(place: HTMLElement): Promise<void> {
  const expired = await isExpired();
  createRoot(place).render(
    <QueryClientProvider client={queryClient}>
      <App expired={expired} />
    </QueryClientProvider>,
  );
}

const place = document.getElementById("app");
if (place !== null) void start(place);
