/** Who serves this page: the agent on a person's machine, or an installation in the cloud. */

const said =
  typeof document === "undefined"
    ? null // a test without a page
    : document.querySelector<HTMLMetaElement>('meta[name="conducto-side"]');

export const IN_CLOUD = said?.content === "cloud";

/** What to call who answers, at the beginning of a sentence. */
export const SERVER = IN_CLOUD ? "The installation" : "The agent";
/** The command that brings it back; in the cloud nobody has to. */
export const WAKING = IN_CLOUD ? null : "conducto list";
