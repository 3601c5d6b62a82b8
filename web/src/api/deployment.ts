/** The server of this page: the local agent or a cloud installation. */

const meta =
  typeof document === "undefined"
    ? null // in tests without a page
    : document.querySelector<HTMLMetaElement>('meta[name="conducto-target"]');

export const IN_CLOUD = meta?.content === "cloud";

export const SERVER = IN_CLOUD ? "The installation" : "The agent";
/** The command that starts the agent; null in the cloud. */
export const START_COMMAND = IN_CLOUD ? null : "conducto list";
