import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { messageOf } from "@/api/client";
import { signIn } from "@/api/session";
import { IN_CLOUD } from "@/api/side";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Empty } from "@/components/Empty";

const COMMAND = IN_CLOUD ? "conducto show --app --cloud" : "conducto show --app";
const WHO = IN_CLOUD ? "Whoever has a token may come in." : "The agent serves its owner only.";

/** What a browser without a session sees; `expired` where it came with a code that was used. */
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
          : `${WHO} Run this in a terminal; it signs this browser in, or prints a code to enter here:`}
      </p>
      <Code text={COMMAND} label="the command" />
      <CodeForm />
    </Empty>
  );
}

/** For browsers that a terminal cannot open: a code, or in the cloud a token, which is not kept. */
function CodeForm() {
  const [entered, setEntered] = useState("");
  const enter = useMutation({
    mutationFn: () => signIn(entered.trim()),
    onSuccess: () => location.reload(),
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
        {IN_CLOUD ? "Code or token" : "Code"}
        <input
          className="field mono"
          type="password"
          value={entered}
          autoComplete="off"
          spellCheck={false}
          placeholder={IN_CLOUD ? "cdo_…" : "xxxx-xxxx-xxxx"}
          onChange={(event) => setEntered(event.target.value)}
        />
      </label>
      {enter.error === null ? null : (
        <p className="state-error" role="alert">
          {messageOf(enter.error)}
        </p>
      )}
      <Button look="main" type="submit" disabled={entered.trim() === "" || enter.isPending}>
        Sign in
      </Button>
    </form>
  );
}
