import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { messageOf } from "@/api/client";
import { signIn } from "@/api/session";
import { IN_CLOUD } from "@/api/side";
import { Button } from "@/ui/Button";
import { Code } from "@/ui/Code";
import { Empty } from "@/ui/Empty";

const COMMAND = IN_CLOUD ? "conducto show --app --cloud" : "conducto show --app";
const WHO = IN_CLOUD ? "Whoever has a token may come in." : "The agent serves its owner only.";

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
          : `${WHO} Run this in a terminal; it opens an address that signs this browser in, or prints it:`}
      </p>
      <Code text={COMMAND} label="the command" />
      {IN_CLOUD ? <TokenForm /> : null}
    </Empty>
  );
}

/** The other way in: a token, of which nothing is kept here. */
function TokenForm() {
  const [token, setToken] = useState("");
  const enter = useMutation({
    mutationFn: () => signIn(token.trim()),
    onSuccess: () => location.assign("/"),
    gcTime: 0,
  });
  return (
    <form
      className="form signin"
      onSubmit={(event) => {
        event.preventDefault();
        enter.mutate();
      }}
    >
      <label>
        Or give a token of yours
        <input
          className="field mono"
          type="password"
          value={token}
          autoComplete="off"
          spellCheck={false}
          placeholder="cdo_…"
          onChange={(event) => setToken(event.target.value)}
        />
      </label>
      {enter.error === null ? null : (
        <p className="state-error" role="alert">
          {messageOf(enter.error)}
        </p>
      )}
      <Button look="main" type="submit" disabled={token.trim() === "" || enter.isPending}>
        Sign in
      </Button>
    </form>
  );
}
