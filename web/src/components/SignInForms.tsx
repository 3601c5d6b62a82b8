import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { api } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import { beginSignIn, identityProvider, type IdentityProvider } from "@/api/identity";
import { signIn } from "@/api/session";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { FormError } from "@/components/ConfirmDialog";
import { EmptyState } from "@/components/EmptyState";
import styles from "@/components/SignedOut.module.css";
import { useTitle } from "@/components/useTitle";

const COMMAND = IN_CLOUD ? "conducto show --app --cloud" : "conducto show --app";
const ACCESS = IN_CLOUD
  ? "Anyone with a token can sign in."
  : "Only the owner of the agent has access.";

/** The sign-in page. `expired`: the sign-in code in the URL was rejected. */
export function SignInForms({ expired = false }: { expired?: boolean }) {
  const provider = useQuery({
    queryKey: ["identity-provider"],
    queryFn: identityProvider,
    enabled: IN_CLOUD,
  });
  if (provider.isLoading) return null;
  if (!expired && provider.data != null) return <ProviderSignIn provider={provider.data} />;
  return <CodeSignIn expired={expired} />;
}

/** How to sign in from a terminal. */
function CodeSignIn({ expired }: { expired: boolean }) {
  useTitle("Not signed in");
  useReturn();
  const title = expired ? "This sign-in link has expired" : "You are signed out";
  return (
    <EmptyState heading title={title}>
      <p className="muted">
        {expired
          ? "A sign-in link works once, within one minute. To get a new one, run this command in a terminal:"
          : `${ACCESS} Run this command in a terminal. It signs this browser in, or prints a code to enter here:`}
      </p>
      <Code text={COMMAND} label="command" />
      <CodeForm />
    </EmptyState>
  );
}

/** The button that opens the page of the identity provider. */
function ProviderSignIn({ provider }: { provider: IdentityProvider }) {
  const [withToken, setWithToken] = useState(false);
  useTitle("Sign in");
  useReturn();
  const begin = useMutation({
    mutationFn: () =>
      beginSignIn(provider, { kind: "session", to: location.pathname + location.search }),
  });
  return (
    <EmptyState heading title="Sign in">
      <p className="muted">
        {withToken
          ? 'Enter a token, or a code that "conducto show --app --cloud" printed.'
          : "Use your account of this installation."}
      </p>
      {withToken ? (
        <CodeForm />
      ) : (
        <>
          <Button variant="main" disabled={begin.isPending} onClick={() => begin.mutate()}>
            Sign in
          </Button>
          <Button variant="quiet" onClick={() => setWithToken(true)}>
            Use a token
          </Button>
        </>
      )}
      <FormError error={begin.error} />
    </EmptyState>
  );
}

/** If the user signs in in another tab, show the page again when this one is in view. */
function useReturn(): void {
  useEffect(() => {
    const check = () => {
      if (document.hidden) return;
      // A success ends the state of a lost session, so that the app shows the page again.
      void api.agent().catch(() => null);
    };
    document.addEventListener("visibilitychange", check);
    window.addEventListener("focus", check);
    return () => {
      document.removeEventListener("visibilitychange", check);
      window.removeEventListener("focus", check);
    };
  }, []);
}

/** A form for a code, or in the cloud a token, if the terminal cannot open the browser. */
function CodeForm() {
  const [entered, setEntered] = useState("");
  const submit = useMutation({
    mutationFn: () => signIn(entered.trim()),
    onSuccess: () => location.reload(),
    gcTime: 0,
  });
  return (
    <form
      className={`form ${styles.form}`}
      onSubmit={(event) => {
        event.preventDefault();
        submit.mutate();
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
      <FormError error={submit.error} />
      <Button variant="main" type="submit" disabled={entered.trim() === "" || submit.isPending}>
        Sign in
      </Button>
    </form>
  );
}
