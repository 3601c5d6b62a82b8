import { useEffect, useState } from "react";

import { messageOf } from "@/api/client";
import {
  acceptInvitation,
  finishSignIn,
  identityProvider,
  SignInError,
  startCliLogin,
  startSession,
  type Purpose,
} from "@/api/identity";
import { Code } from "@/components/Code";
import { EmptyState } from "@/components/EmptyState";
import { useTitle } from "@/components/useTitle";
import { loopbackUrl } from "@/people/signin/loopback";

type Result =
  { kind: "working" } | { kind: "failed"; message: string } | { kind: "code"; code: string };

/** One sign-in for each load of the page, although React may run an effect twice. */
let running: Promise<Result> | null = null;

/** The page to which the identity provider returns. */
export function SignedInPage() {
  useTitle("Sign in");
  const [result, setResult] = useState<Result>({ kind: "working" });
  useEffect(() => {
    running ??= finish();
    void running.then(setResult);
  }, []);
  switch (result.kind) {
    case "working":
      return <EmptyState heading title="Signing in…" />;
    case "failed":
      return (
        <EmptyState heading title="The sign-in failed">
          <p role="alert">{result.message}</p>
          <a href="/">Start again</a>
        </EmptyState>
      );
    case "code":
      return (
        <EmptyState heading title="The command line is signed in">
          <p className="muted">
            Return to the terminal. If it still waits, enter this code there, within one minute:
          </p>
          <Code text={result.code} label="code" />
        </EmptyState>
      );
  }
}

async function finish(): Promise<Result> {
  try {
    const provider = await identityProvider();
    if (provider === null)
      throw new SignInError("This installation has no identity provider; sign in with a token");
    const { purpose, idToken } = await finishSignIn(provider);
    return await exchanged(purpose, idToken);
  } catch (error) {
    return { kind: "failed", message: messageOf(error) };
  }
}

async function exchanged(purpose: Purpose, idToken: string): Promise<Result> {
  switch (purpose.kind) {
    case "session":
      await startSession(idToken);
      location.replace(purpose.to);
      return { kind: "working" };
    case "cli": {
      const { code } = await startCliLogin(idToken, purpose.challenge);
      location.replace(loopbackUrl(purpose, code));
      // The command line may not be reachable from this browser: then the person copies the code.
      return { kind: "code", code };
    }
    case "invitation":
      await acceptInvitation(purpose.code, idToken);
      location.replace("/");
      return { kind: "working" };
  }
}
