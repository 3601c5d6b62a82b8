/**
 * An OpenID provider in Cognito's place, for the emulator: `node server.mjs PORT REDIRECT...`.
 *
 * An address with an open invitation can sign up, and counts as verified; nothing is kept. The
 * emulator answers on the standard input whether there is one. Its tokens have the names of Cognito's claims (`token_use`, `email_verified`). The protocol is oidc-provider's,
 * which is certified; only the two pages are written here.
 */

import { randomBytes, randomUUID, scryptSync, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

import Provider, { errors } from "oidc-provider";

const [port, ...redirects] = process.argv.slice(2);
const HOST = "127.0.0.1";
const ISSUER = `http://${HOST}:${port}`;
const MAX_BODY = 4096;
/** `{address: {id, salt, hash}}` */
const accounts = new Map();

const provider = new Provider(ISSUER, {
  clients: [
    {
      client_id: "conducto",
      token_endpoint_auth_method: "none",
      response_types: ["code"],
      grant_types: ["authorization_code"],
      redirect_uris: redirects,
      require_auth_time: true,
    },
  ],
  claims: { openid: ["sub", "token_use"], email: ["email", "email_verified"], auth_time: null },
  conformIdTokenClaims: false,
  clientBasedCORS: (_ctx, origin) => redirects.some((url) => new URL(url).origin === origin),
  cookies: { keys: [randomBytes(32).toString("hex")] },
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: false } },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: addressOf(id), email_verified: true, token_use: "id" }),
  }),
  interactions: { url: (_ctx, interaction) => `/sign-in/${interaction.uid}` },
  jwks: { keys: [await newKey()] },
  // Conducto is the only client, so people are not asked for their consent.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({
      accountId: ctx.oidc.session.accountId,
      clientId: ctx.oidc.client.clientId,
    });
    grant.addOIDCScope("openid email");
    await grant.save();
    return grant;
  },
  pkce: { required: () => true },
  responseTypes: ["code"],
  scopes: ["openid", "email"],
  ttl: { IdToken: 3600, Interaction: 600, Session: 3600, Grant: 3600 },
});

/** A sign-in without a nonce could be replayed. */
provider.use(async (ctx, next) => {
  if (ctx.path === "/auth" && ctx.query.nonce === undefined)
    throw new errors.InvalidRequest("nonce is required");
  await next();
});

async function newKey() {
  const { privateKey } = await crypto.subtle.generateKey(
    {
      name: "RSASSA-PKCS1-v1_5",
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: "SHA-256",
    },
    true,
    ["sign", "verify"],
  );
  const { key_ops: _ops, ext: _ext, ...jwk } = await crypto.subtle.exportKey("jwk", privateKey);
  return { ...jwk, use: "sig", alg: "RS256", kid: randomUUID() };
}

function addressOf(id) {
  return [...accounts].find(([, account]) => account.id === id)?.[0];
}

const waiting = [];
createInterface({ input: process.stdin }).on("line", (line) => waiting.shift()?.(line === "yes"));

/** Asks the emulator, as Cognito asks a function before it creates an account. */
function isInvited(address) {
  return new Promise((resolve) => {
    waiting.push(resolve);
    console.log(`invited ${address}`);
  });
}

/** Signs up with an address that is new. Returns the person's account, or null. */
async function enter(address, password) {
  if (!accounts.has(address)) {
    if (!/^[^@\s]+@[^@\s]+$/.test(address) || password.length < 8) return null;
    if (!(await isInvited(address))) return null;
  }
  const known = accounts.get(address);
  if (known === undefined) {
    const salt = randomBytes(16);
    accounts.set(address, { id: randomUUID(), salt, hash: scryptSync(password, salt, 32) });
    return accounts.get(address);
  }
  return timingSafeEqual(known.hash, scryptSync(password, known.salt, 32)) ? known : null;
}

function page(problem) {
  return `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Sign in to the emulator</title>
<style>body{font:16px system-ui;max-width:22rem;margin:15vh auto;padding:0 1rem}
label{display:block;margin:1rem 0}input{font:inherit;width:100%;padding:.5rem;box-sizing:border-box}
button{font:inherit;padding:.5rem 1rem}[role=alert]{color:#b00020}small{color:#666}</style>
<h1>Sign in to the emulator</h1>
<p><small>This page stands in for Cognito. A new address with an invitation signs up.</small></p>
${problem ? `<p role="alert">${problem}</p>` : ""}
<form method="post"><label>E-mail<input name="email" type="email" autocomplete="username" required
autofocus></label><label>Password<input name="password" type="password" minlength="8"
autocomplete="current-password" required></label><button>Continue</button></form></html>`;
}

async function formOf(request) {
  let body = "";
  for await (const part of request) {
    body += part;
    if (body.length > MAX_BODY) throw new Error("the form is too large");
  }
  return new URLSearchParams(body);
}

async function signIn(request, response) {
  let problem = "";
  if (request.method === "POST") {
    const form = await formOf(request);
    const address = (form.get("email") ?? "").trim().toLowerCase();
    const account = await enter(address, form.get("password") ?? "");
    if (account !== null) {
      await provider.interactionFinished(request, response, { login: { accountId: account.id } });
      return;
    }
    problem =
      "The address or the password is wrong, or the address has no invitation. " +
      "A password has at least 8 characters.";
  } else {
    await provider.interactionDetails(request, response);
  }
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.setHeader("cache-control", "no-store");
  response.end(page(problem));
}

const callback = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith("/sign-in/")) {
    callback(request, response);
    return;
  }
  signIn(request, response).catch(() => {
    response.statusCode = 400;
    response.end("This sign-in has expired. Return to Conducto and start again.");
  });
}).listen(Number(port), HOST, () => console.log("ready"));
