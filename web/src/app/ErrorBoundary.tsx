import { Component, type ReactNode } from "react";

import { messageOf } from "@/api/client";
import { START_COMMAND } from "@/api/deployment";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";

interface Props {
  /** Another path resets the error. */
  path: string;
  children: ReactNode;
}

/**
 * Shows an error in place of a page that fails to render. The most common cause is a missing
 * script: the agent is stopped, or was updated since the app was loaded.
 */
export class ErrorBoundary extends Component<Props, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override componentDidUpdate({ path }: Props) {
    if (path !== this.props.path && this.state.error !== null) this.setState({ error: null });
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <div role="alert">
        <EmptyState heading title="Could not show this page">
          <p className="muted">{messageOf(error)}</p>
          {START_COMMAND === null ? null : (
            <p className="muted">
              If the agent is stopped, <code>{START_COMMAND}</code> starts it. Then reload the page.
            </p>
          )}
          <Button onClick={() => location.reload()}>Reload</Button>
        </EmptyState>
      </div>
    );
  }
}
