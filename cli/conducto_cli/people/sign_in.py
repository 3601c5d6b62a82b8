"""``conducto login`` with a browser, at an installation with an identity provider.

The page of the installation signs the person in and sends a code to this machine, on the loopback
interface (RFC 8252, section 7.3). The code is worthless without the verifier, which never leaves
this process (RFC 7636).
"""

import hmac
import http.server
import json
import os
import platform
import queue
import re
import secrets
import sys
import threading
import urllib.request
from hashlib import sha256
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from conducto.errors import UsageError
from conducto_cli.target import web_page
from conducto_cli.target.account import SignedInAccount
from conducto_client.transport.cloud import CloudClient, CloudTransport
from conducto_client.transport.port import Endpoint
from conducto_core.installation.names import IDENTITY_FILE

_LOOPBACK = "127.0.0.1"
_FETCH_SECONDS = 10.0
#: Seconds in which the person signs in.
_WAIT_SECONDS = 600.0
_DONE = (
    "<!doctype html><title>Conducto</title><p>The command line is signed in. "
    "You can close this page.</p>"
)


def has_provider(url: str) -> bool:
    request = urllib.request.Request(url + IDENTITY_FILE)  # noqa: S310  checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=_FETCH_SECONDS) as response:  # noqa: S310
            return "client" in json.load(response)
    except (OSError, ValueError):
        return False


def sign_in(url: str) -> SignedInAccount:
    """Open the sign-in page of an installation and wait for its code; return the account.

    Raises:
        UsageError: Nobody signed in.
    """
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    codes: queue.Queue[str] = queue.Queue()
    server = _listen(state, codes)
    try:
        _open(url, server.server_address[1], state, verifier)
        code = _wait(codes)
    finally:
        server.shutdown()
        server.server_close()
    with CloudClient(CloudTransport(Endpoint(url, code))) as client:
        issued = client.exchange_cli_code(verifier)
    return SignedInAccount(url, issued.token, issued.org, issued.user)


def _open(url: str, port: int, state: str, verifier: str) -> None:
    challenge = sha256(verifier.encode()).hexdigest()
    host = re.sub(r"[^\w.-]", "", platform.node()) or "this-machine"
    values = {"port": port, "state": state, "challenge": challenge, "host": host}
    address = f"{url}/cli#{urlencode(values)}"
    if web_page.open_address(address):
        print(f"opened {url}/cli in a browser; sign in there", file=sys.stderr)
    else:
        print(f"open this address in a browser, and sign in there:\n  {address}", file=sys.stderr)


def _wait(codes: "queue.Queue[str]") -> str:
    """Return the code: from the page, or typed by the person."""
    if sys.stdin.isatty():
        print("If the browser is on another machine, enter its code here.", file=sys.stderr)
        threading.Thread(target=lambda: codes.put(sys.stdin.readline()), daemon=True).start()
    try:
        code = codes.get(timeout=_WAIT_SECONDS).strip()
    except queue.Empty:
        raise UsageError("nobody signed in within ten minutes; run conducto login again") from None
    if not re.fullmatch(r"cdo_[\w-]{20,200}", code):
        raise UsageError("this is not the code of the page; run conducto login again")
    return code


def _listen(state: str, codes: "queue.Queue[str]") -> http.server.HTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            values = parse_qs(urlsplit(self.path).query)
            given = values.get("state", [""])[0]
            # Other pages and users of this machine can send requests, too, but not the state.
            if not hmac.compare_digest(given.encode(), state.encode()):
                self.send_error(403)
                return
            self._respond()
            codes.put(values.get("code", [""])[0])

        def _respond(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(_DONE.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
            """Log nothing: the address has the code."""

    server = http.server.HTTPServer((_LOOPBACK, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


# ----------------------------------------------------------------------------------------
# ``conducto login --ci``: a CI run exchanges its ID token for a token of an hour.
#
# GitHub Actions gives jobs with ``permissions: id-token: write`` an address and a token with which
# they request an ID token ("OpenID Connect reference" in GitHub's documentation). Other CI services
# put the ID token itself into a variable.


#: The variable for an ID token, whose audience is the address of the installation.
ID_TOKEN = "CONDUCTO_ID_TOKEN"  # noqa: S105  the name of a variable
_REQUEST_URL, _REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_SECONDS = 30.0


def log_in(url: str, org: str) -> SignedInAccount:
    """Return the account of this CI run in an organisation.

    Raises:
        UsageError: This is not a CI run with an ID token.
    """
    with CloudClient(CloudTransport(Endpoint(url, requested_id_token(url)))) as client:
        issued = client.exchange_ci_token(org)
    return SignedInAccount(url, issued.token, issued.org, issued.user)


def requested_id_token(url: str) -> str:
    """Return the ID token of this CI run for an installation; raises `UsageError`."""
    given = os.environ.get(ID_TOKEN)
    if given:
        return given
    address, token = os.environ.get(_REQUEST_URL), os.environ.get(_REQUEST_TOKEN)
    if not address or not token:
        raise UsageError(
            "this job has no ID token; in GitHub Actions add 'permissions: id-token: write' to the "
            f"job, elsewhere set {ID_TOKEN}"
        )
    request = urllib.request.Request(  # noqa: S310  GitHub's own address
        f"{address}&audience={quote(url, safe='')}", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310
            return str(json.load(response)["value"])
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"GitHub did not give an ID token: {error}") from error
