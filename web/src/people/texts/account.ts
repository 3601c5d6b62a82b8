/** The texts of the page "account". */

export const ACCOUNT = {
  commands: "Commands",
  cost: "Cost (approx.)",
  details: "Usage by program and pipeline",
  month: "Month",
  noUsage: "No usage yet.",
  priced: (region: string, priced: string) =>
    `Includes workers from image pull to stop, at the prices of ${region} as of ${priced}. `,
  runTime: "Run time",
  signOut: "Sign out",
  signedInAs: "Signed in as",
  title: "Account",
  usage: "Usage",
};
