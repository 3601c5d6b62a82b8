// Viewer-request function for the API and the WebSocket: replaces the session cookie by the
// authorization header if the request comes from the web app's page. "/session" turns a token into
// a cookie, deletes it, and reports whether a session exists (204) or not (200). The rules are the
// same as in `conducto_local.server.auth`; `conducto_emulator.gateway.cloudfront` implements them for the
// emulator, and one test covers all of them.
var COOKIE = "__Host-conducto";
var KEPT = "Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=";
var SECONDS = 2592000;
// The path of an API Gateway WebSocket is its stage.
var STAGE = "/api";
var BEARER = /^Bearer ([A-Za-z0-9_-]{20,200})$/;

function handler(event) {
  var request = event.request;
  if (request.uri === "/session") return session(request);
  var cookie = request.cookies[COOKIE];
  delete request.cookies[COOKIE];
  if (cookie && !request.headers.authorization && isSafe(request)) {
    request.headers.authorization = { value: "Bearer " + cookie.value };
  }
  if (request.uri === "/socket") request.uri = STAGE;
  return request;
}

function session(request) {
  if (request.method === "GET") {
    return COOKIE in request.cookies ? answer(204, "No Content") : answer(200, "OK");
  }
  if (!isScript(request)) return answer(403, "Forbidden");
  if (request.method === "DELETE") return answer(204, "No Content", "", 0);
  var token = BEARER.exec(header(request, "authorization"));
  if (request.method !== "POST" || !token) return answer(400, "Bad Request");
  return answer(204, "No Content", token[1], SECONDS);
}

function answer(status, words, value, seconds) {
  var said = {
    statusCode: status,
    statusDescription: words,
    headers: { "cache-control": { value: "no-store" } },
  };
  if (seconds === undefined) return said;
  said.cookies = {};
  said.cookies[COOKIE] = { value: value, attributes: KEPT + seconds };
  return said;
}

// Browsers also send the cookie with requests of other sites' pages.
function isSafe(request) {
  var site = header(request, "sec-fetch-site") || "none";
  if (site !== "same-origin" && site !== "none") return false;
  if (request.uri === "/socket") return isOwnPage(request);
  return request.method === "GET" || request.method === "HEAD" || isScript(request);
}

function isScript(request) {
  return isOwnPage(request) && "x-conducto" in request.headers;
}

function isOwnPage(request) {
  return header(request, "origin") === "https://" + header(request, "host");
}

function header(request, name) {
  var found = request.headers[name];
  return found ? found.value : "";
}
