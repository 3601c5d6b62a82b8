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
import { SIGN_IN } from "@/people/texts/signIn";

type Result =
  { kind: "working" } | { kind: "failed"; message: string } | { kind: "code"; code: string };

/** One sign-in for each load of the page, although React may run an effect twice. */
let running: Promise<Result> | null = null;

/** The page to which the identity provider returns. */
export function SignedInPage() {
  useTitle(SIGN_IN.title);
  const [result, setResult] = useState<Result>({ kind: "working" });
  useEffect(() => {
    running ??= finish();
    void running.then(setResult);
  }, []);
  switch (result.kind) {
    case "working":
      return <EmptyState heading title={SIGN_IN.working} />;
    case "failed":
      return (
        <EmptyState heading title={SIGN_IN.failed}>
          <p role="alert">{result.message}</p>
          <a href="/">{SIGN_IN.again}</a>
        </EmptyState>
      );
    case "code":
      return (
        <EmptyState heading title={SIGN_IN.cliDone}>
          <p className="muted">{SIGN_IN.cliCode}</p>
          <Code text={result.code} label={SIGN_IN.code} />
        </EmptyState>
      );
  }
}

async function finish(): Promise<Result> {
  try {
    const provider = await identityProvider();
    if (provider === null) throw new SignInError(SIGN_IN.noProvider);
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
