import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { beginSignIn, identityProvider, SignInError } from "@/api/identity";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { EmptyState } from "@/components/EmptyState";
import { useTitle } from "@/components/useTitle";
import { cliRequest, type CliRequest } from "@/people/signin/loopback";
import { SIGN_IN } from "@/people/texts/signIn";

/** The page that `conducto login` opens: it asks before it signs the command line in. */
export function CliPage() {
  useTitle(SIGN_IN.cliTitle);
  const [request] = useState(() => cliRequest(location.hash));
  if (request === null)
    return (
      <EmptyState heading title={SIGN_IN.cliWrong}>
        <p className="muted">{SIGN_IN.cliAgain}</p>
      </EmptyState>
    );
  return <Confirm request={request} />;
}

function Confirm({ request }: { request: CliRequest }) {
  const begin = useMutation({
    mutationFn: async () => {
      const provider = await identityProvider();
      if (provider === null) throw new SignInError(SIGN_IN.noProvider);
      await beginSignIn(provider, { kind: "cli", ...request });
    },
  });
  return (
    <EmptyState heading title={SIGN_IN.cliTitle}>
      <p className="muted">{SIGN_IN.cliAsks(request.host)}</p>
      <Button variant="main" disabled={begin.isPending} onClick={() => begin.mutate()}>
        {SIGN_IN.cliContinue}
      </Button>
      <FormError error={begin.error} />
    </EmptyState>
  );
}
