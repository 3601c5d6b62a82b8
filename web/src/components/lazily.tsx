import { useEffect, useSyncExternalStore, type ComponentType, type ReactNode } from "react";

import { attention, isOffline, subscribeToConnection } from "@/api/connection";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { EmptyState } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { Part } from "@/lib/part";
import { preloadable } from "@/lib/preload";

interface Options {
  /** Shown while the code is loading. */
  placeholder?: ReactNode;
  /** Load the code ahead of time, when the browser is idle. */
  ahead?: boolean;
}

/**
 * A component whose code is loaded on demand. If the server does not respond, only the component's
 * place shows so, or a dialog if the component can be closed, and the code is loaded when the
 * server responds.
 */
export function lazily<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
  { placeholder = <Loading />, ahead = true }: Options = {},
): ComponentType<Props> {
  const code = new Part(load);
  if (ahead) preloadable(code.request);
  return function Lazy(props: Props) {
    const state = useSyncExternalStore(code.subscribe, code.current);
    const offline = useSyncExternalStore(subscribeToConnection, isOffline);
    useEffect(() => {
      void code.request();
      return attention.subscribe(() => void code.request());
    }, []);
    if (state.kind === "loaded") return <state.value {...props} />;
    if (state.kind === "loading") return placeholder;
    const failed = <Failed offline={offline} onRetry={() => void code.request()} />;
    return "onClose" in props ? (
      <Dialog title="Could not load this part" onClose={props.onClose as () => void}>
        {failed}
      </Dialog>
    ) : (
      failed
    );
  };
}

/** If the server responds, the file is missing: it belongs to an older version of the app. */
function Failed({ offline, onRetry }: { offline: boolean; onRetry: () => void }) {
  return (
    <div role="alert">
      <EmptyState title="Could not load this part">
        <p className="muted">
          {offline
            ? "It appears when the connection is back."
            : "If the app was updated since this page was opened, reload the page."}
        </p>
        <Button onClick={onRetry}>Retry</Button>
        {offline ? null : <Button onClick={() => location.reload()}>Reload page</Button>}
      </EmptyState>
    </div>
  );
}
