/**
 * Sign-in with an identity provider: the authorization code flow with PKCE of OpenID Connect. The
 * page gets an ID token, exchanges it at the API, and does not keep it.
 */

import { apiUrl, FROM_APP, OfflineError, send } from "@/api/client";
import { storeToken } from "@/api/session";
import type { CliCode, MemberLogin, SessionToken } from "@/api/schema";

/** The settings of the provider, which the installation publishes. */
export interface IdentityProvider {
  issuer: string;
  client: string;
  authorize: string;
  token: string;
}

/** What to do after the sign-in. */
export type Purpose =
  | { kind: "session"; to: string }
  | { kind: "cli"; port: number; state: string; challenge: string }
  | { kind: "invitation"; code: string };

interface Pending {
  state: string;
  nonce: string;
  verifier: string;
  purpose: Purpose;
}

const SETTINGS_URL = "/identity.json";
const CALLBACK = "/signed-in";
const PENDING_KEY = "conducto-sign-in";
const RANDOM_BYTES = 32;

let settings: Promise<IdentityProvider | null> | null = null;

/** The installation's identity provider, or null if people sign in with tokens. */
export function identityProvider(): Promise<IdentityProvider | null> {
  settings ??= fetchSettings().catch((error: unknown) => {
    settings = null; // the next call tries again
    throw error;
  });
  return settings;
}

async function fetchSettings(): Promise<IdentityProvider | null> {
  try {
    const response = await fetch(SETTINGS_URL);
    // Without a provider, the installation may respond with the page of an error.
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    return response.ok && isJson ? ((await response.json()) as IdentityProvider) : null;
  } catch (error) {
    throw new OfflineError({ cause: error });
  }
}

/** Go to the provider's page; it returns to `CALLBACK`. */
export async function beginSignIn(provider: IdentityProvider, purpose: Purpose): Promise<void> {
  const pending = { state: random(), nonce: random(), verifier: random(), purpose };
  sessionStorage.setItem(PENDING_KEY, JSON.stringify(pending));
  location.assign(await authorizeUrl(provider, pending, location.origin));
}

/** The address of the provider's page. */
export async function authorizeUrl(
  provider: IdentityProvider,
  pending: Pick<Pending, "state" | "nonce" | "verifier">,
  origin: string,
): Promise<string> {
  const query = new URLSearchParams({
    response_type: "code",
    client_id: provider.client,
    redirect_uri: origin + CALLBACK,
    scope: "openid email",
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await challengeOf(pending.verifier),
    code_challenge_method: "S256",
    // The API accepts only a recent sign-in, so an older session at the provider is of no use.
    prompt: "login",
  });
  return `${provider.authorize}?${query.toString()}`;
}

/** A sign-in that failed: the person can start again. */
export class SignInError extends Error {}

/** Take the result of the provider's page from the URL and exchange it for an ID token. */
export async function finishSignIn(
  provider: IdentityProvider,
): Promise<{ purpose: Purpose; idToken: string }> {
  const query = new URLSearchParams(location.search);
  history.replaceState(null, "", CALLBACK);
  const pending = takePending();
  const code = checkedCode(query, pending);
  const idToken = await exchange(provider, code, pending.verifier);
  if (claimsOf(idToken).nonce !== pending.nonce)
    throw new SignInError("The identity provider responded to another request");
  return { purpose: pending.purpose, idToken };
}

function takePending(): Pending {
  const text = sessionStorage.getItem(PENDING_KEY);
  sessionStorage.removeItem(PENDING_KEY);
  if (text === null) throw new SignInError("This sign-in was not started in this tab");
  return JSON.parse(text) as Pending;
}

/** The code in the query of the callback, if it belongs to the pending sign-in. */
export function checkedCode(query: URLSearchParams, pending: Pick<Pending, "state">): string {
  if (query.get("state") !== pending.state)
    throw new SignInError("This sign-in was not started in this tab");
  const error = query.get("error");
  if (error !== null) throw new SignInError(query.get("error_description") ?? error);
  const code = query.get("code");
  if (code === null) throw new SignInError("The identity provider sent no code");
  return code;
}

async function exchange(
  provider: IdentityProvider,
  code: string,
  verifier: string,
): Promise<string> {
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    client_id: provider.client,
    redirect_uri: location.origin + CALLBACK,
    code,
    code_verifier: verifier,
  });
  let response: Response;
  try {
    response = await fetch(provider.token, { method: "POST", body });
  } catch {
    throw new SignInError("The identity provider does not respond");
  }
  const result = (await response.json()) as { id_token?: string; error?: string };
  if (result.id_token === undefined)
    throw new SignInError(`The identity provider refused the code: ${result.error ?? "no token"}`);
  return result.id_token;
}

/** Exchange an ID token for the session of this browser. */
export async function startSession(idToken: string): Promise<SessionToken> {
  const session = await postWithToken<SessionToken>(apiUrl("/sessions"), idToken);
  await storeToken(session);
  return session;
}

/** Exchange an ID token for a code of the command line. */
export function startCliLogin(idToken: string, challenge: string): Promise<CliCode> {
  return postWithToken<CliCode>(apiUrl("/cli-logins"), idToken, { challenge });
}

/** Accept an invitation; with an identity provider, its owner proves the address by an ID token. */
export async function acceptInvitation(code: string, idToken?: string): Promise<MemberLogin> {
  const url = apiUrl("/invitations/accept");
  const login = await postWithToken<MemberLogin>(url, code, { id_token: idToken, browser: true });
  await storeToken(login);
  return login;
}

async function postWithToken<T>(url: string, token: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { ...FROM_APP, Authorization: `Bearer ${token}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  return (await (await send(url, { method: "POST", headers, ...init })).json()) as T;
}

function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)));
}

/** The `S256` challenge of a verifier (RFC 7636, section 4.2). */
export async function challengeOf(verifier: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return base64url(new Uint8Array(digest));
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The claims of an ID token, which came from the provider's own address; the API verifies it. */
function claimsOf(idToken: string): { nonce?: string } {
  const [, payload = ""] = idToken.split(".");
  const text = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(text) as { nonce?: string };
}
