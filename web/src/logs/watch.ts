import { messageOf } from "@/api/client";
import { toast } from "@/components/toasts";
import { setQuery } from "@/lib/location";
import { firstMatches } from "@/run/tree/live/search";
import type { PipelineSession } from "@/run/live/session";
import { pathsText } from "@/logs/model/outputSearch";

/** Maximum number of outputs side by side. */
export const MAX_WATCHED = 6;

/** Watch the selected commands, and of selected groups the running commands. */
export async function watchOutputs(
  session: PipelineSession,
  selected: readonly string[],
): Promise<void> {
  const isCommand = (path: string) => session.model?.nodes.get(path)?.type === "Exec";
  const paths = new Set(selected.filter(isCommand));
  try {
    for (const root of selected) {
      if (isCommand(root) || paths.size >= MAX_WATCHED) continue;
      const query = { root, state: "running", limit: MAX_WATCHED } as const;
      for (const { path } of await firstMatches(session.id, query)) paths.add(path);
    }
  } catch (error) {
    toast(messageOf(error), "error");
  }
  const shown = [...paths].slice(0, MAX_WATCHED);
  if (shown.length === 0) toast("Select commands to watch their output");
  else setQuery({ watch: pathsText(shown) });
}
