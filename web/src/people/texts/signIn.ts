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
  invitationAccept: "Accept the invitation",
  invitationAgain: "Ask an administrator of the organisation for another one.",
  invitationAsks: "You are invited to an organisation of Conducto.",
  invitationTitle: "Invitation",
  invitationWrong: "This invitation is not complete",
  noProvider: "This installation has no identity provider; sign in with a token",
  withProvider: "Use your account of this installation.",
  withToken: 'Enter a token, or a code that "conducto show --app --cloud" printed.',
  useToken: "Use a token",
  working: "Signing in…",
};
