/**
 * The browser session in the cloud. Its token is in an HttpOnly cookie; this module only passes it
 * from the API to CloudFront, which sets the cookie.
 */

import { api, ApiError, apiUrl, FROM_APP, send } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import type { Login, SessionToken } from "@/api/schema";

const SESSIONS_URL = apiUrl("/sessions");
/** Path handled by CloudFront: sets, deletes and checks the cookie. */
const COOKIE_URL = "/session";
const HAS_SESSION = 204;
const CODE_PREFIX = "#code=";
const JSON_FROM_APP = { ...FROM_APP, "Content-Type": "application/json" };

/** Result of signing in with a code from the URL. */
export type Entry = "in" | "no";
type Account = Pick<SessionToken, "org" | "user">;

/** Sign in with a code from a terminal, or in the cloud with a token. */
export async function signIn(codeOrToken: string): Promise<void> {
  if (IN_CLOUD) await storeToken(await createSession(codeOrToken));
  else
    await send(COOKIE_URL, {
      method: "POST",
      headers: JSON_FROM_APP,
      body: JSON.stringify({ code: codeOrToken }),
    });
}

/** A token is exchanged for a code, and the code for a session, so the token is never stored. */
async function createSession(codeOrToken: string): Promise<SessionToken> {
  try {
    return await exchangeCode(codeOrToken);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  const init = { method: "POST", headers: authorization(codeOrToken) };
  const { code } = (await (await send(apiUrl("/agent/login"), init)).json()) as Login;
  return await exchangeCode(code);
}

/** Remove the code from the URL, so that it stays out of the history and bookmarks. */
export function takeCodeFromUrl(): string | null {
  if (!location.hash.startsWith(CODE_PREFIX)) return null;
  const code = location.hash.slice(CODE_PREFIX.length);
  history.replaceState(null, "", location.pathname + location.search);
  return code;
}

/** Opening a URL with a code in a tab of the app changes only the fragment. */
export function reloadOnNewCode(): void {
  window.addEventListener("hashchange", () => {
    if (location.hash.startsWith(CODE_PREFIX)) location.reload();
  });
}

/**
 * Sign in with a code. Anyone can send a link with their own code, so `confirmSwitch` is called
 * before the user changes. `onSignedIn` is called if nobody was signed in before.
 */
export async function signInWithCode(
  code: string,
  confirmSwitch: (current: Account, after: Account) => boolean,
  onSignedIn: (person: Account) => void,
): Promise<Entry> {
  const before = await currentUser();
  let created: SessionToken;
  try {
    created = await exchangeCode(code);
  } catch (error) {
    // If the server is unreachable, the page reports it.
    return error instanceof ApiError && before === null ? "no" : "in";
  }
  if (before === null) {
    await storeToken(created);
    onSignedIn(created);
  } else if (isSameUser(before, created) || !confirmSwitch(before, created)) {
    await endSession(authorization(created.token));
  } else {
    await endSession(FROM_APP);
    await storeToken(created);
  }
  return "in";
}

export async function signOut(): Promise<void> {
  try {
    await endSession(FROM_APP);
  } finally {
    await send(COOKIE_URL, { method: "DELETE", headers: FROM_APP });
  }
}

/**
 * The signed-in user, or null. The API is called only if there is a cookie; otherwise it would log
 * a 401 error.
 */
async function currentUser(): Promise<Account | null> {
  try {
    const { status } = await send(COOKIE_URL, { headers: FROM_APP });
    return status === HAS_SESSION ? await api.whoAmI() : null;
  } catch {
    return null;
  }
}

function isSameUser(one: Account, other: Account): boolean {
  return one.org === other.org && one.user === other.user;
}

async function exchangeCode(code: string): Promise<SessionToken> {
  const response = await send(SESSIONS_URL, { method: "POST", headers: authorization(code) });
  return (await response.json()) as SessionToken;
}

export async function storeToken({ token }: Pick<SessionToken, "token">): Promise<void> {
  await send(COOKIE_URL, { method: "POST", headers: authorization(token) });
}

async function endSession(headers: Readonly<Record<string, string>>): Promise<void> {
  await send(SESSIONS_URL, { method: "DELETE", headers });
}

function authorization(token: string): Record<string, string> {
  return { ...FROM_APP, Authorization: `Bearer ${token}` };
}
