"""``conducto org``, ``members``, ``invite``, ``tokens``, ``audit``: over the API of the cloud."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pytest
from tests.functions.people.test_people import Office

from chalicelib.api.dispatch import Request
from chalicelib.assistants.handlers import Mcp
from chalicelib.people.tokens import digest_of
from conducto_cli.main import main
from conducto_cli.target.account import account_of
from conducto_core.api.cloud_operations import CLOUD_OPERATIONS
from conducto_core.api.dispatch import RouteTable
from conducto_core.assistants.handlers import MCP_PATH
from conducto_core.people.model import AuditEntry, Role
from conducto_core.people.operations import ORGANISATION_OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Output = pytest.CaptureFixture[str]


class Served(Office):
    """An organisation whose API is served at ``url``."""

    url = ""

    def serve(self) -> ThreadingHTTPServer:
        table = RouteTable([*CLOUD_OPERATIONS, *ORGANISATION_OPERATIONS])
        office = self
        mcp = Mcp(self.api, self.world.tokens, lambda: self.url)

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                headers = {name.lower(): value for name, value in self.headers.items()}
                caller = office.world.tokens.find(digest_of(token))
                request = Request({}, tuple(parse_qsl(query)), headers, body)
                if path == MCP_PATH:
                    response = mcp.respond(self.command, caller, request)
                else:
                    match = table.find(self.command, path)
                    request = replace(request, params=match.params)
                    response = office.api.call(match.operation, caller, request)
                self.send_response(response.status)
                for name, value in response.headers:
                    if name != "Content-Type":
                        self.send_header(name, value)
                self.send_header("Content-Type", response.media_type)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)

            do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "conducto"))
    for name in ("CONDUCTO_URL", "CONDUCTO_TOKEN", "CONDUCTO_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    made = Served(folder=tmp_path)
    server = made.serve()
    yield made
    server.shutdown()
    server.server_close()


def log_in(office: Served, token: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(token + "\n"))
    assert main(["login", "--url", office.url, *(words or ("--token", "-"))]) == 0


def test_administrator_invites_changes_and_removes_a_member(
    office: Served, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    log_in(office, office.join("ann", Role.OWNER), monkeypatch)
    capsys.readouterr()

    assert main(["invite", "create", "bob@acme.example", "--json"]) == 0
    code = json.loads(capsys.readouterr().out)["code"]
    assert main(["invite", "list"]) == 0
    assert "bob@acme.example  bob   member  ann" in capsys.readouterr().out
    log_in(office, code, monkeypatch, "--invitation", "-")
    assert "as bob of acme" in capsys.readouterr().out
    assert main(["members", "set-role", "bob", "admin"]) == 1
    assert "manage_organisation" in capsys.readouterr().err

    assert main(["org", "list"]) == 0
    assert "acme  bob   member  *" in capsys.readouterr().out
    log_in(office, office.token("ann"), monkeypatch)
    assert main(["members", "set-role", "bob", "viewer"]) == 0
    assert main(["members", "list"]) == 0
    assert "bob   viewer" in capsys.readouterr().out
    capsys.readouterr()
    assert main(["members", "export", "bob"]) == 0
    exported = json.loads(capsys.readouterr().out)
    assert (exported["member"]["user"], exported["audit"] != []) == ("bob", True)
    assert main(["members", "remove", "bob", "--yes"]) == 0
    assert main(["members", "erase", "bob", "--yes"]) == 0
    assert main(["audit", "--operation", "remove_member"]) == 0
    shown = capsys.readouterr().out
    assert "remove_member  erased-" in shown


def test_audit_prints_a_request_without_an_end_as_unknown(
    office: Served, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    log_in(office, office.join("ann", Role.OWNER), monkeypatch)
    moment = office.world.now
    entry = AuditEntry(time=moment, user="bob", token="0", operation="control", paths=("/a",))
    office.world.audit.add("acme", entry)
    capsys.readouterr()

    assert main(["audit", "--user", "bob"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[3:6] == ["control", "/a", "unknown"]
    assert "may have been executed" in lines[2]
    assert main(["audit", "--user", "ann"]) == 0
    assert "unknown" not in capsys.readouterr().out


def test_member_manages_tokens_and_leaves(
    office: Served, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    office.join("ann", Role.OWNER)
    log_in(office, office.join("bob"), monkeypatch)

    assert main(["tokens", "create", "nightly", "--permission", "read", "--json"]) == 0
    made = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert main(["tokens", "list"]) == 0
    listed = capsys.readouterr().out
    assert "nightly" in listed
    assert made["token"] not in listed
    assert main(["tokens", "revoke", made["info"]["id"], "--yes"]) == 0
    assert main(["tokens", "sessions"]) == 0
    assert main(["tokens", "end-sessions"]) == 0
    assert "no sessions" in capsys.readouterr().out
    assert main(["members", "leave", "--yes"]) == 0
    assert main(["members", "list"]) == 2
    assert "not logged in" in capsys.readouterr().err


def test_logout_revokes_the_token_of_a_login_and_no_other(
    office: Served, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    log_in(office, office.join("ann", Role.OWNER), monkeypatch)
    assert main(["invite", "create", "bob@acme.example", "--json"]) == 0
    code = json.loads(capsys.readouterr().out.partition("\n")[2])["code"]
    log_in(office, code, monkeypatch, "--invitation", "-")
    account = account_of()
    assert account is not None
    assert main(["tokens", "create", "nightly", "--permission", "read", "--json"]) == 0
    program = json.loads("{" + capsys.readouterr().out.partition("{")[2])["token"]

    assert main(["logout"]) == 0
    assert capsys.readouterr().out == "logged out; the token is revoked\n"
    assert office.world.tokens.find(digest_of(account.token)) is None
    log_in(office, program, monkeypatch)
    assert main(["logout"]) == 0
    assert "was not created by a log-in and stays valid" in capsys.readouterr().out
    assert office.world.tokens.find(digest_of(program)) is not None


def test_owner_creates_switches_and_deletes_organisations(
    office: Served, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    log_in(office, office.join("ann", Role.OWNER), monkeypatch)

    assert main(["org", "create", "team-b"]) == 0
    assert "now ann of team-b, as owner" in capsys.readouterr().out
    assert main(["org", "switch", "acme"]) == 0
    assert "now ann of acme (profile default)" in capsys.readouterr().out
    assert main(["org", "switch", "team-b"]) == 0
    assert main(["org", "delete", "team-b"]) == 1
    assert main(["org", "delete", "team-b", "--confirm", "acme"]) == 1
    assert main(["org", "delete", "team-b", "--confirm", "team-b"]) == 0
    assert "team-b is deleted, with 0 pipelines" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["invite", "create", "nobody"], "email"),
        (["members", "remove", "a/b", "--yes"], "user"),
        (["tokens", "revoke", "x", "--yes"], "id"),
        (["org", "create", "a b"], "name"),
        (["tokens", "create", "x", "--permission", "read", "--days", "0"], "days"),
    ],
)
def test_invalid_words_are_usage_errors(
    office: Served,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
    words: list[str],
    problem: str,
) -> None:
    log_in(office, office.join("ann", Role.OWNER), monkeypatch)

    assert main(words) == 2
    assert f"conducto: {problem}: " in capsys.readouterr().err


def test_removal_prints_suspended_records_and_how_to_take_them_over(
    office: Served, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    ann = office.join("ann", Role.OWNER)
    log_in(office, office.join("bob", Role.ADMIN), monkeypatch)
    trust = ("--repository", "1", "--ref", "refs/heads/main")
    assert main(["trusts", "add", "nightly", *trust]) == 0
    log_in(office, ann, monkeypatch)
    capsys.readouterr()

    assert main(["members", "set-role", "bob", "member"]) == 0
    assert "  conducto members take-over trust nightly\n" in capsys.readouterr().out
    assert main(["members", "remove", "bob", "--yes"]) == 0
    assert "  conducto members take-over trust nightly\n" in capsys.readouterr().out
    assert main(["trusts", "list"]) == 0
    assert "bob (suspended)" in capsys.readouterr().out
    assert main(["members", "take-over", "trust", "nightly"]) == 0
    assert "the trust nightly is of ann now" in capsys.readouterr().out
    assert main(["members", "take-over", "trust", "nightly"]) == 2
    assert "the trust nightly of ann is not suspended" in capsys.readouterr().err
