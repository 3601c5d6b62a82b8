"""Log-in of the original's API (``co.api.Auth``, ``co.api.Dir``), at a small server."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto.api.config import Config
from conducto_cli.target import account as cloud_account
from conducto_core.api.cloud_operations import WhoAmI
from conducto_core.run.model.requests import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANN = WhoAmI(org="acme", user="ann", permissions=("read", "launch"), plan="free", version="1.0")
LOGIN = {"email": "ann", "password": "cdo_good"}


class _Installation(BaseHTTPRequestHandler):
    """Knows one token."""

    def do_GET(self) -> None:
        good = self.headers["Authorization"] == "Bearer cdo_good"
        refused = Problem(title="refused", status=401, detail="unknown token")
        body = (ANN if good else refused).model_dump_json().encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Print nothing."""


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start an installation that the profile knows, without a token."""
    for name in ("CONDUCTO_URL", "CONDUCTO_TOKEN", "CONDUCTO_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "conducto"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Installation)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    Config().set_profile_general("default", "url", address)
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


def test_token_is_checked_and_kept_on_request(url: str) -> None:
    auth = co.api.Auth()

    assert auth.get_token(LOGIN) == "cdo_good"
    assert auth.get_auth(LOGIN) == {"AccessToken": "cdo_good"}
    assert auth.get_account_token(LOGIN, skip_profile=True) == "cdo_good"
    assert cloud_account.account_of() is None
    assert auth.get_account_token(LOGIN) == "cdo_good"

    kept = cloud_account.account_of()
    assert kept is not None
    assert (kept.url, kept.token, kept.org, kept.user) == (url, "cdo_good", "acme", "ann")
    auth.signout()
    assert cloud_account.account_of() is None


def test_user_and_organisation_of_the_kept_token() -> None:
    auth, directory = co.api.Auth(), co.api.Dir()
    auth.get_account_token(LOGIN)

    assert (auth.get_email(), auth.get_user_id(), auth.is_anonymous()) == ("ann", "ann", False)
    assert directory.org_by_user() == directory.org("acme") == {"org_id": "acme", "name": "acme"}
    assert directory.user()["org_id"] == "acme"
    with pytest.raises(co.api.InvalidResponse, match="the token belongs to 'acme'"):
        directory.org(7)


def test_unknown_token_is_refused() -> None:
    auth = co.api.Auth()

    assert auth.test("cdo_good")
    assert not auth.test("cdo_bad")
    with pytest.raises(co.api.UnauthorizedResponse):
        auth.get_account_token({"email": "ann", "password": "cdo_bad"})
    assert cloud_account.account_of() is None


def test_missing_installation_is_an_error_with_a_remedy() -> None:
    Config().set_profile_general("default", "url", "")

    with pytest.raises(co.api.InvalidResponse, match="conducto login --url URL"):
        co.api.Auth().get_token(LOGIN)
    with pytest.raises(co.api.InvalidResponse, match="conducto login"):
        co.api.Auth().get_email()


def test_pipeline_in_the_cloud_cannot_be_created_without_its_tree() -> None:
    with pytest.raises(co.api.NotAvailableError, match=r"co\.launch\(tree, run=False\)"):
        co.api.Pipeline().create("x", cloud=True)
