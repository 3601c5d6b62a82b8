import "@/styles/tokens.css";
import "@/styles/base.css";
import "@/ui/ui.css";
import "@/app/app.css";

import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";

import { App } from "@/app/App";
import { queryClient } from "@/app/queryClient";

const place = document.getElementById("app");
if (place !== null) {
  createRoot(place).render(
    <QueryClientProvider client={queryClient}>
      <App />
    </QueryClientProvider>,
  );
}
