"""``conducto trigger github-app``: the GitHub App of the organisation, created by its manifest.

GitHub takes a manifest only from a browser. The page that posts it is served on the loopback
interface, to which GitHub sends the person back with a code; the code is worthless without the
account of the administrator who began.
"""

from __future__ import annotations

import hmac
import html
import http.server
import queue
import secrets
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from conducto.errors import UsageError
from conducto_cli.app.arguments import confirmed
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json
from conducto_cli.target import web_page
from conducto_cli.target.account import call, checked
from conducto_core.triggers import model as g
from conducto_core.triggers import operations

if TYPE_CHECKING:
    import argparse

_LOOPBACK = "127.0.0.1"
#: Seconds in which the person creates the App.
_WAIT_SECONDS = 1800.0
#: Seconds after which a connection that sends nothing is closed.
_IDLE_SECONDS = 10
_PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Conducto</title><body>'
_DONE = f"{_PAGE}<p>GitHub created the App. Return to the terminal; you can close this page.</p>"


def run(arguments: argparse.Namespace) -> int:
    app: g.GithubApp | None
    match arguments.action:
        case "create":
            app = _create(arguments)
        case "rm":
            if not confirmed("Forget the GitHub App and delete its keys?", yes=arguments.yes):
                return FAILED
            app = call(arguments, operations.DELETE_GITHUB_APP).app
        case _:
            app = call(arguments, operations.GET_GITHUB_APP).app
    if arguments.json:
        print(as_json(g.GithubAppView(app=app).model_dump(mode="json")))
    elif arguments.action == "rm":
        print("the GitHub App and its keys are forgotten; delete it at GitHub, too")
    elif app is None:
        print("no GitHub App yet; create it: conducto trigger github-app create")
    else:
        print(f"GitHub App {app.slug}: {app.page}")
        print(f"  give it repositories at  {app.install_page}")
        print("  then                     conducto trigger add NAME --repository URL --app")
    return DONE


def _create(arguments: argparse.Namespace) -> g.GithubApp:
    page = ManifestPage()
    try:
        request = checked(
            g.GithubAppRequest,
            title=arguments.title,
            host=arguments.host,
            account=arguments.account,
            redirect=page.url,
        )
        page.begun = call(arguments, operations.START_GITHUB_APP, None, request)
        # The address has no secret of value, but only the person who began may use it.
        if web_page.open_address(page.start_url):
            print("opened a browser; create the App at GitHub there", file=sys.stderr)
        else:
            print(
                f"open this address in a browser on this machine:\n  {page.start_url}",
                file=sys.stderr,
            )
        code = page.wait()
    finally:
        page.close()
    body = checked(g.GithubAppCode, code=code, state=page.begun.state)
    return call(arguments, operations.FINISH_GITHUB_APP, None, body)


class _Server(http.server.ThreadingHTTPServer):
    """Browsers open connections in advance: an idle one blocks neither others nor the end."""

    daemon_threads = True
    block_on_close = False


class ManifestPage:
    """The page that posts the manifest, and receives the code.

    Attributes:
        url: The address that GitHub sends the person to.
        begun: The form; set before anybody knows the address of the page.
    """

    begun: g.GithubAppStart

    def __init__(self) -> None:
        self._codes: queue.Queue[str] = queue.Queue()
        self._key = secrets.token_urlsafe(24)
        self._server = _Server((_LOOPBACK, 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://{_LOOPBACK}:{self._server.server_address[1]}/"

    @property
    def start_url(self) -> str:
        return f"{self.url}?start={self._key}"

    def wait(self) -> str:
        try:
            return self._codes.get(timeout=_WAIT_SECONDS)
        except queue.Empty:
            raise UsageError(
                "no App was created within half an hour; run 'conducto trigger github-app create' "
                "again"
            ) from None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def respond(self, target: str) -> str | None:
        """Return the page for a request, or None for one that has neither key nor state."""
        values = parse_qs(urlsplit(target).query)
        if _same(values.get("start", [""])[0], self._key):
            return self._form()
        # Other pages and users of this machine can send requests, too, but not the state.
        if _same(values.get("state", [""])[0], self.begun.state):
            self._codes.put(values.get("code", [""])[0])
            return _DONE
        return None

    def _form(self) -> str:
        action, manifest = html.escape(self.begun.address), html.escape(self.begun.manifest)
        return (
            f'{_PAGE}<form method="post" action="{action}">'
            f'<input type="hidden" name="manifest" value="{manifest}">'
            "<p>GitHub asks you to confirm the App; it gets read access to code and pull requests, "
            "and sets the statuses of commits.</p><button>Continue to GitHub</button></form>"
        )

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = _IDLE_SECONDS

            def do_GET(self) -> None:
                body = page.respond(self.path)
                if body is None:
                    self.send_error(403)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  of the base
                """Log nothing: the address has the code."""

        return Handler


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
