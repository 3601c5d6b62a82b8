import { useEffect } from "react";

import { setQuery, useLocation } from "@/lib/location";
import { checkOf, colourOf, shownIn, toggledIn } from "@/logs/model/merged";
import type { PipelineSession } from "@/run/live/session";
import { isWithin, pathsText } from "@/run/model/paths";

/** Make the tree a filter of the output of a group, which is in the URL. */
export function useOutputFilter(session: PipelineSession, root: string): void {
  const { query } = useLocation();
  useEffect(() => {
    const shown = shownIn(query, root);
    session.setOutputFilter({
      checkOf: (path) => (isWithin(path, root) ? checkOf(shown, path) : null),
      colourOf,
      toggle: (path) => {
        if (!isWithin(path, root)) return;
        const { nodes, hidden } = toggledIn(shown, root, path);
        setQuery({ nodes: pathsText(nodes), hidden: pathsText(hidden) }, true);
      },
      onlyFailed: query.has("failed"),
    });
    return () => session.setOutputFilter(null);
  }, [session, root, query]);
}
