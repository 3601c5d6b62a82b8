"""The Model Context Protocol at an installation, through the dispatch of its API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.people.test_people import Office

from chalicelib.api.dispatch import Request
from chalicelib.assistants.handlers import Mcp
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of, new_token
from conducto_core.people import operations
from conducto_core.people.model import AuditParams, Role
from conducto_core.run.operations import LAUNCH, NODE
from support.trees import approve, form, leaf, serial

if TYPE_CHECKING:
    from tests.functions.conftest import Front


class Editor:
    """An assistant with a client of the old era."""

    def __init__(self, *scopes: str) -> None:
        self.office = Office()
        login = self.office.join("ann", Role.OWNER)
        body = {"name": "laptop", "scopes": scopes}
        self.token = self.office.call(operations.CREATE_TOKEN, login, body)[1]["token"]
        self.owner = login
        tokens = self.office.world.tokens
        self.mcp = Mcp(self.office.api, tokens, lambda: "https://conducto.example")
        self.session = ""
        self.rpc("initialize", clientInfo={"name": "claude-code", "version": "2"})

    def rpc(self, method: str, token: str | None = None, **params: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"content-type": "application/json", "mcp-session-id": self.session}
        known = self.office.world.tokens.find(digest_of(token or self.token))
        request = Request({}, (), headers, json.dumps(message).encode(), "r-1")
        response = self.mcp.respond("POST", known, request)
        self.session = dict(response.headers).get("Mcp-Session-Id", self.session)
        return {"status": response.status, **json.loads(response.body)}

    def call(self, tool: str, *, fails: bool = False, **arguments: Any) -> str:
        result = self.rpc("tools/call", name=tool, arguments=arguments)["result"]
        assert result["isError"] is fails, result
        return str(result["content"][0]["text"])

    def launch(self, *nodes: Any) -> str:
        request = {"tree": form(serial(*nodes)), "run": True}
        status, made = self.office.call(LAUNCH, self.owner, request)
        assert status == 200, made
        return str(made["pipeline"]["id"])


@pytest.fixture
def author() -> Editor:
    return Editor("author")


def test_action_is_a_dry_run_first_and_audited_with_the_client(author: Editor) -> None:
    id_ = author.launch(leaf("a"), leaf("b"))

    text = author.call("skip", id=id_, paths=["/b"])
    assert 'skip affects 1 commands ("/b")' in text
    token = text.rpartition("token: ")[2]
    done = author.call("skip", id=id_, paths=["/b"], token=token)

    assert done.startswith("done: skip")
    entries = author.office.world.audit.page("acme", AuditParams(operation="control")).entries
    assert {(one.client, one.status) for one in entries} == {("claude-code/2", 200)}
    assert all(one.scopes == ("read", "control", "author") for one in entries)
    found = author.office.call(NODE, author.owner, id=id_, path="/b")[1]
    assert found["node"]["actor"] == {"user": "ann", "assistant": "claude-code/2"}


def test_approval_is_not_skipped(author: Editor) -> None:
    id_ = author.launch(approve("ask", who=["owner"]), leaf("ship"))

    text = author.call("skip", id=id_, paths=["/ask"], fails=True)

    assert "a program's token" in text


def test_reading_tools_answer(author: Editor) -> None:
    id_ = author.launch(leaf("a"))

    assert id_ in author.call("list_pipelines")
    assert id_ in author.call("explain", id="@last")
    assert '"/a" Exec' in author.call("get_node", id=id_, path="/a")
    assert "1 x" in author.call("why_waiting", id=id_)
    assert "1 commands" in author.call("plan", id=id_)
    text = author.call("exec_in_failure", id=id_, path="/a", command="ls")
    assert text.startswith("no result yet: a worker for it was launched")


def test_other_tokens_are_refused(author: Editor) -> None:
    assert author.rpc("tools/list", author.owner)["status"] == 403
    assert author.rpc("tools/list", "cdo_wrong")["status"] == 401


def test_forged_session_gives_no_name(author: Editor) -> None:
    author.session = "Y2xhdWRl.0000"
    id_ = author.launch(leaf("a"))

    author.call("get_node", id=id_, path="/a")

    entries = author.office.world.audit.page("acme", AuditParams(operation="get_node")).entries
    assert [one.client for one in entries] == [""]


def test_metadata_names_the_installation(author: Editor) -> None:
    found = json.loads(author.mcp.metadata().body)

    assert found["resource"] == "https://conducto.example/mcp"


def test_app_serves_the_protocol_behind_its_authorizer(front: Front) -> None:
    read = frozenset({"read"})
    token, digest = new_token()
    identity = Identity("acme", "ann", read, scopes=("read",))
    front.app.records.tokens.put(digest, identity, expires=None, kind="assistant")
    message = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    response = front.client.http.post("/mcp", headers=headers, body=message)
    person = {**headers, "Authorization": f"Bearer {front.token()}"}
    refused = front.client.http.post("/mcp", headers=person, body=message)
    nobody = front.client.http.post("/mcp", headers={"Content-Type": "x"}, body=message)
    found = front.client.http.get("/.well-known/oauth-protected-resource/mcp", headers={})

    assert len(json.loads(response.body)["result"]["tools"]) == 9
    assert (response.status_code, refused.status_code) == (200, 403)
    assert nobody.status_code in {401, 403}
    assert json.loads(found.body)["scopes_supported"][0] == "read"
