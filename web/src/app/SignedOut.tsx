import { CopyButton } from "@/ui/CopyButton";
import { Empty } from "@/ui/Empty";

const COMMAND = "conducto show";

/** What a browser without a session sees. */
export function SignedOut() {
  return (
    <Empty title="This browser is not signed in">
      <p className="muted">
        The agent serves its owner only. Run this in a terminal; it prints an address that signs
        this browser in:
      </p>
      <pre>
        {COMMAND} <CopyButton text={COMMAND} label="Copy the command" />
      </pre>
    </Empty>
  );
}
