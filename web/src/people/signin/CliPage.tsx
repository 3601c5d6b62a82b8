import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { beginSignIn, identityProvider, SignInError } from "@/api/identity";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { EmptyState } from "@/components/EmptyState";
import { useTitle } from "@/components/useTitle";
import { cliRequest, type CliRequest } from "@/people/signin/loopback";

/** The page that `conducto login` opens: it asks before it signs the command line in. */
export function CliPage() {
  useTitle("Sign in the command line");
  const [request] = useState(() => cliRequest(location.hash));
  if (request === null)
    return (
      <EmptyState heading title="This address is not complete">
        <p className="muted">Run this command in a terminal again: conducto login</p>
      </EmptyState>
    );
  return <Confirm request={request} />;
}

function Confirm({ request }: { request: CliRequest }) {
  const begin = useMutation({
    mutationFn: async () => {
      const provider = await identityProvider();
      if (provider === null)
        throw new SignInError("This installation has no identity provider; sign in with a token");
      await beginSignIn(provider, { kind: "cli", ...request });
    },
  });
  return (
    <EmptyState heading title="Sign in the command line">
      <p className="muted">
        "conducto login" on {request.host} asks for a token with your permissions. Continue only if
        you started it.
      </p>
      <Button variant="main" disabled={begin.isPending} onClick={() => begin.mutate()}>
        Sign in the command line
      </Button>
      <FormError error={begin.error} />
    </EmptyState>
  );
}
