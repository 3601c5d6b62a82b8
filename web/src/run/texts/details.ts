/** The texts of a node's details. */

export const DETAILS = {
  callbacks: "Callbacks",
  command: "Command ",
  copyCommand: "Copy command",
  environment: "Environment",
  environmentHelp: "Only variables that Conducto sets. Secrets are not shown.",
  origin: "Origin",
  parameters: "Parameters",
};
