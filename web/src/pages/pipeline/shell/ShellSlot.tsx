import { lazy, Suspense } from "react";

import shellStyles from "@/pages/pipeline/shell/Shell.module.css";
import { useOpenShell } from "@/pages/pipeline/shell/openShells";
import { PIPELINE } from "@/strings/pipeline";

const ShellPanel = lazy(async () => ({
  default: (await import("@/pages/pipeline/shell/ShellPanel")).ShellPanel,
}));

/** The place of a node's shell. */
export function ShellSlot({ id, path }: { id: string; path: string }) {
  const place = useOpenShell(id, path);
  if (place === null) return null;
  return (
    <Suspense fallback={<p className={`${shellStyles.loading} muted`}>{PIPELINE.loading}</p>}>
      <ShellPanel key={path} place={place} />
    </Suspense>
  );
}
