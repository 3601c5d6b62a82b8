import { lazily } from "@/components/lazily";
import shellStyles from "@/debug/Shell.module.css";
import { useOpenShell } from "@/debug/openShells";

const ShellPanel = lazily(async () => (await import("@/debug/ShellPanel")).ShellPanel, {
  placeholder: <p className={`${shellStyles.loading ?? ""} muted`}>Loading…</p>,
  ahead: false,
});

/** The place of a node's shell. */
export function ShellSlot({ id, path }: { id: string; path: string }) {
  const place = useOpenShell(id, path);
  return place === null ? null : <ShellPanel key={path} place={place} />;
}
