import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { acceptInvitation, beginSignIn, identityProvider } from "@/api/identity";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { EmptyState } from "@/components/EmptyState";
import { useTitle } from "@/components/useTitle";

/** The code of an invitation, which is taken out of the address, the history and bookmarks. */
function takeCode(): string | null {
  const code = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  return /^cdo_[\w-]{20,200}$/.test(code) ? code : null;
}

/** One code for each load of the page, although React may create a component twice. */
let taken: string | null | undefined;

/** The page that the link of an invitation opens. */
export function InvitationPage() {
  useTitle("Invitation");
  const [code] = useState(() => (taken ??= takeCode()));
  if (code === null)
    return (
      <EmptyState heading title="This invitation is not complete">
        <p className="muted">Ask an administrator of the organisation for another one.</p>
      </EmptyState>
    );
  return <Accept code={code} />;
}

function Accept({ code }: { code: string }) {
  const accept = useMutation({
    mutationFn: async () => {
      const provider = await identityProvider();
      if (provider !== null) await beginSignIn(provider, { kind: "invitation", code });
      else {
        await acceptInvitation(code);
        location.replace("/");
      }
    },
  });
  return (
    <EmptyState heading title="Invitation">
      <p className="muted">You are invited to an organisation of Conducto.</p>
      <Button variant="main" disabled={accept.isPending} onClick={() => accept.mutate()}>
        Accept the invitation
      </Button>
      <FormError error={accept.error} />
    </EmptyState>
  );
}
