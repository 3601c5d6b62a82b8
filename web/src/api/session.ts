/**
 * A browser's session in the cloud. Its token is in a cookie that no script can read; here it is
 * only passed on, from the API that makes it to the edge that keeps it.
 */

import { addressOf, api, ApiError, FROM_APP, send } from "@/api/client";
import type { Login, SessionToken } from "@/api/schema";

const SESSION = "/session";
const CODE = "#code=";

/** Let this browser in with a token of one's own, which is not kept. */
export async function signIn(token: string): Promise<void> {
  const { url } = await postAs<Login>("/agent/login", token);
  await exchange(new URL(url).hash.slice(CODE.length));
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

/** Come in by a code. Returns whether it was good, or this browser is in already. */
export async function comeIn(code: string): Promise<boolean> {
  try {
    await exchange(code);
  } catch (error) {
    // Without an answer the page itself says so.
    return !(error instanceof ApiError) || isIn();
  }
  return true;
}

/** End the session of this browser. */
export async function signOut(): Promise<void> {
  await send(addressOf("/sessions"), { method: "DELETE", headers: FROM_APP });
  await send(SESSION, { method: "DELETE", headers: FROM_APP });
}

async function exchange(code: string): Promise<void> {
  const { token } = await postAs<SessionToken>("/sessions", code);
  await send(SESSION, { method: "POST", headers: as(token) });
}

async function isIn(): Promise<boolean> {
  return api.whoAmI().then(
    () => true,
    () => false,
  );
}

async function postAs<Answer>(path: string, token: string): Promise<Answer> {
  const response = await send(addressOf(path), { method: "POST", headers: as(token) });
  return (await response.json()) as Answer;
}

function as(token: string): Record<string, string> {
  return { ...FROM_APP, Authorization: `Bearer ${token}` };
}
