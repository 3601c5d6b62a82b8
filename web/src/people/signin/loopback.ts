/** The request of `conducto login`, in the fragment of the address that it opens. */
export interface CliRequest {
  port: number;
  state: string;
  challenge: string;
  /** Name of the machine, which the person confirms. */
  host: string;
}

const MIN_PORT = 1024;
const MAX_PORT = 65_535;
const MAX_HOST = 64;

/** The request in a fragment such as `#port=4000&state=…&challenge=…&host=…`, or null. */
export function cliRequest(fragment: string): CliRequest | null {
  const values = new URLSearchParams(fragment.replace(/^#/, ""));
  const port = Number(values.get("port"));
  const state = values.get("state") ?? "";
  const challenge = values.get("challenge") ?? "";
  const host = (values.get("host") ?? "").slice(0, MAX_HOST);
  const valid =
    Number.isInteger(port) &&
    port >= MIN_PORT &&
    port <= MAX_PORT &&
    /^[\w-]{16,128}$/.test(state) &&
    /^[0-9a-f]{64}$/.test(challenge) &&
    /^[\w.-]+$/.test(host);
  return valid ? { port, state, challenge, host } : null;
}

/** The address at which the command line receives a code. */
export function loopbackUrl(request: Pick<CliRequest, "port" | "state">, code: string): string {
  const query = new URLSearchParams({ code, state: request.state });
  return `http://127.0.0.1:${String(request.port)}/?${query.toString()}`;
}
