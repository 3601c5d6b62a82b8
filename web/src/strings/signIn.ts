/** The texts of the sign-in with an identity provider. */

export const SIGN_IN = {
  title: "Sign in",
  action: "Sign in",
  again: "Start again",
  cliAgain: "Run this command in a terminal again: conducto login",
  cliAsks: (host: string) =>
    `"conducto login" on ${host} asks for a token with your permissions. Continue only if you started it.`,
  cliCode: "Return to the terminal. If it still waits, enter this code there, within one minute:",
  cliContinue: "Sign in the command line",
  cliDone: "The command line is signed in",
  cliTitle: "Sign in the command line",
  cliWrong: "This address is not complete",
  code: "code",
  failed: "The sign-in failed",
  noProvider: "This installation has no identity provider; sign in with a token",
  withProvider: "Use your account of this installation.",
  working: "Signing in…",
};
