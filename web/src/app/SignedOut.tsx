import { useEffect } from "react";

import { Code } from "@/ui/Code";
import { Empty } from "@/ui/Empty";

const COMMAND = "conducto show --app";

/** What a browser without a session sees; `expired` where it came with an address that was used. */
export function SignedOut({ expired = false }: { expired?: boolean }) {
  useEffect(() => {
    document.title = "Not signed in · Conducto";
  }, []);
  const title = expired ? "This address is no longer good" : "This browser is not signed in";
  return (
    <Empty title={title}>
      <p className="muted">
        {expired
          ? "It signs a browser in once, within a minute. Run this in a terminal for a new one:"
          : "The agent serves its owner only. Run this in a terminal; it opens an address that signs this browser in, or prints it:"}
      </p>
      <Code text={COMMAND} label="the command" />
    </Empty>
  );
}
