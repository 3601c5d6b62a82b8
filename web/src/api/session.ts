/**
 * A browser's session in the cloud. Its token is in a cookie that no script can read; here it is
 * only passed on, from the API that makes it to the edge that keeps it.
 */

import { addressOf, api, ApiError, FROM_APP, send } from "@/api/client";
import type { Login, SessionToken } from "@/api/schema";
import { IN_CLOUD } from "@/api/side";

const SESSIONS = addressOf("/sessions");
/** The edge's: it keeps a token, gives it up, and says whether it has one. */
const KEPT = "/session";
const SOME = 204;
const CODE = "#code=";
const JSON_FROM_APP = { ...FROM_APP, "Content-Type": "application/json" };

/** How a browser that has a code comes in; `no`: the code was no good. */
export type Entry = "in" | "no";
type Person = Pick<SessionToken, "org" | "user">;

/** Sign this browser in with a code from a terminal; in the cloud also with a token. */
export async function signIn(codeOrToken: string): Promise<void> {
  if (IN_CLOUD) await keep(await sessionFor(codeOrToken));
  else
    await send(KEPT, {
      method: "POST",
      headers: JSON_FROM_APP,
      body: JSON.stringify({ code: codeOrToken }),
    });
}

/** A token is not kept: it makes a code, and that a session. */
async function sessionFor(codeOrToken: string): Promise<SessionToken> {
  try {
    return await exchanged(codeOrToken);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  const asked = { method: "POST", headers: as(codeOrToken) };
  const { code } = (await (await send(addressOf("/agent/login"), asked)).json()) as Login;
  return await exchanged(code);
}

/** The code in the address. It is taken out, so that neither history nor a bookmark has it. */
export function takeCode(): string | null {
  if (!location.hash.startsWith(CODE)) return null;
  const code = location.hash.slice(CODE.length);
  history.replaceState(null, "", location.pathname + location.search);
  return code;
}

/** An address with a code that is opened in a tab of the app changes its fragment only. */
export function comeInWhenAsked(): void {
  window.addEventListener("hashchange", () => {
    if (location.hash.startsWith(CODE)) location.reload();
  });
}

/**
 * Come in by a code. Anybody can send an address with a code of theirs: `consent` is asked before
 * the reader becomes somebody else, and `told` hears who a reader is who was nobody.
 */
export async function comeIn(
  code: string,
  consent: (before: Person, after: Person) => boolean,
  told: (person: Person) => void,
): Promise<Entry> {
  const before = await whoIsIn();
  let made: SessionToken;
  try {
    made = await exchanged(code);
  } catch (error) {
    // Without an answer the page itself says so.
    return error instanceof ApiError && before === null ? "no" : "in";
  }
  if (before === null) {
    await keep(made);
    told(made);
  } else if (isSame(before, made) || !consent(before, made)) {
    await end(as(made.token));
  } else {
    await end(FROM_APP);
    await keep(made);
  }
  return "in";
}

/** End the session of this browser. */
export async function signOut(): Promise<void> {
  try {
    await end(FROM_APP);
  } finally {
    await send(KEPT, { method: "DELETE", headers: FROM_APP });
  }
}

/** Who this browser is; the API is asked only where there is a session: its no is an error. */
async function whoIsIn(): Promise<Person | null> {
  try {
    const { status } = await send(KEPT, { headers: FROM_APP });
    return status === SOME ? await api.whoAmI() : null;
  } catch {
    return null;
  }
}

function isSame(one: Person, other: Person): boolean {
  return one.org === other.org && one.user === other.user;
}

async function exchanged(code: string): Promise<SessionToken> {
  const response = await send(SESSIONS, { method: "POST", headers: as(code) });
  return (await response.json()) as SessionToken;
}

async function keep({ token }: SessionToken): Promise<void> {
  await send(KEPT, { method: "POST", headers: as(token) });
}

async function end(headers: Readonly<Record<string, string>>): Promise<void> {
  await send(SESSIONS, { method: "DELETE", headers });
}

function as(token: string): Record<string, string> {
  return { ...FROM_APP, Authorization: `Bearer ${token}` };
}
