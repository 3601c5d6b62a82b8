import { Component, type ReactNode } from "react";

import { messageOf } from "@/api/client";
import { WAKING } from "@/api/side";
import { Button } from "@/components/Button";
import { Empty } from "@/components/Empty";

interface Props {
  /** Of the page: another one is tried anew. */
  path: string;
  children: ReactNode;
}

/**
 * Keeps what breaks a page inside of it. What does so first of all is code that does not come: who
 * serves it is away, or was updated and has files of other names since this app was loaded.
 */
export class PageBoundary extends Component<Props, { broken: Error | null }> {
  override state: { broken: Error | null } = { broken: null };

  static getDerivedStateFromError(broken: Error) {
    return { broken };
  }

  override componentDidUpdate({ path }: Props) {
    if (path !== this.props.path && this.state.broken !== null) this.setState({ broken: null });
  }

  override render() {
    const { broken } = this.state;
    if (broken === null) return this.props.children;
    return (
      <div role="alert">
        <Empty title="This page could not be shown">
          <p className="muted">{messageOf(broken)}</p>
          {WAKING === null ? null : (
            <p className="muted">
              Where the agent is away, <code>{WAKING}</code> starts it; then load the page again.
            </p>
          )}
          <Button onClick={() => location.reload()}>Reload</Button>
        </Empty>
      </div>
    );
  }
}
