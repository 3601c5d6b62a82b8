"""Tokens of assistants in the cloud: scopes, expiry, pace, audit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.functions.people.test_people import Office

from chalicelib.api.callers import is_program
from chalicelib.api.websocket import FORBIDDEN
from chalicelib.people.tokens import digest_of
from conducto_core.api.cloud_operations import CLOUD_OPERATIONS
from conducto_core.approvals.operations import DECIDE_APPROVAL
from conducto_core.assistants.model import MAX_REQUESTS
from conducto_core.assistants.operations import EXEC
from conducto_core.assistants.rules.authority import OPERATIONS
from conducto_core.people import operations
from conducto_core.people.model import AuditParams, Role
from conducto_core.run.operations import CONTROL, GET, LAUNCH, LIST
from support.trees import form, leaf, serial

HOUR = 1 / 24
#: What no scope allows, by words of the names of operations.
OUT_OF_REACH = (
    "approval",
    "member",
    "invitation",
    "token",
    "session",
    "organisation",
    "billing",
    "secret",
    "schedule",
    "trigger",
    "trust",
    "audit",
    "rule",
    "login",
    "agents",
    "shell",
    "debug",
    "data",
    "export",
)


@pytest.fixture
def office() -> Office:
    return Office()


def assistant(office: Office, *scopes: str, role: Role = Role.OWNER, **more: Any) -> str:
    login = office.join("ann", role)
    body = {"name": "laptop", "scopes": scopes, **more}
    status, made = office.call(operations.CREATE_TOKEN, login, body)
    assert status == 200, made
    return str(made["token"])


def launched(office: Office, token: str) -> str:
    request = {"tree": form(serial(leaf("a"))), "run": True}
    status, made = office.call(LAUNCH, token, request)
    assert status == 200, made
    return str(made["pipeline"]["id"])


def test_no_scope_reaches_people_secrets_approvals_or_schedules(office: Office) -> None:
    token = assistant(office, "read", "control", "author", "use_secrets")
    every = (*CLOUD_OPERATIONS, *operations.ORGANISATION_OPERATIONS)

    for operation in every:
        allowed = operation.name in OPERATIONS
        if any(word in operation.name for word in OUT_OF_REACH):
            assert not allowed, operation.name
        if not allowed and not operation.is_stream:
            known = dict.fromkeys(operation.params.model_fields, "0123456789abcdef")
            in_path = {name: one for name, one in known.items() if f"{{{name}}}" in operation.path}
            status, answer = office.call(operation, token, {}, **in_path)
            assert status == 403, (operation.name, status, answer)
            assert answer["detail"] == f"{operation.name} is never allowed to an assistant"


def test_each_scope_allows_its_operations_only(office: Office) -> None:
    token = assistant(office, "read")
    person = office.token("ann")
    id_ = launched(office, person)

    assert office.call(GET, token, id=id_)[0] == 200
    status, answer = office.call(CONTROL, token, {"action": "pause"}, id=id_)
    assert status == 403
    assert "control needs the scope 'control'; this token has read" in answer["detail"]
    assert answer["remedy"].endswith("conducto tokens create NAME --assistant --allow read,control")


def test_an_action_is_checked_by_its_body(office: Office) -> None:
    token = assistant(office, "control")
    id_ = launched(office, office.token("ann"))
    changes = {"action": "modify", "paths": ["/a"], "changes": {"command": "rm -rf /data"}}
    sly = {"action": "reset", "paths": ["/a"], "changes": {"command": "rm"}}

    for body in (changes, sly, {**changes, "preview": True}, {"action": "archive"}, {"action": 3}):
        assert office.call(CONTROL, token, body, id=id_)[0] == 403, body
    assert office.call(CONTROL, token, {"action": "pause"}, id=id_)[0] == 200
    assert office.call(CONTROL, token, {"action": "skip", "paths": ["/a"]}, id=id_)[0] == 200


def test_secrets_need_a_scope_that_a_person_grants(office: Office) -> None:
    token = assistant(office, "author")
    id_ = launched(office, token)

    status, answer = office.call(
        EXEC, token, {"path": "/a", "command": "env", "secrets": True}, id=id_
    )

    assert status == 403
    assert "needs the scope 'use_secrets'" in answer["detail"]


def test_assistant_has_at_most_the_rights_of_its_person(office: Office) -> None:
    login = office.join("abe", Role.VIEWER)

    status, answer = office.call(
        operations.CREATE_TOKEN, login, {"name": "x", "scopes": ["control"]}
    )

    assert status == 403, answer
    owner, token = office.token("ann"), assistant(office, "control", role=Role.OWNER)
    office.call(operations.CHANGE_ROLE, owner, {"role": "viewer"}, user="ann")
    assert office.call(LIST, token)[0] == 200


def test_token_has_either_permissions_or_scopes(office: Office) -> None:
    login = office.join("ann", Role.OWNER)

    for wrong in ({}, {"permissions": ["read"], "scopes": ["read"]}, {"scopes": ["approve"]}):
        status, _ = office.call(operations.CREATE_TOKEN, login, {"name": "x", **wrong})
        assert status == 422, wrong


def test_assistant_ends_after_its_time(office: Office) -> None:
    token = assistant(office, "read", days=8 * HOUR)
    assert office.call(LIST, token)[0] == 200

    office.world.now += 8 * 3600 + 6

    assert office.call(LIST, token)[0] == 401


def test_assistant_counts_as_a_program(office: Office) -> None:
    token = assistant(office, "control", "author")
    world = office.world
    identity = world.tokens.find(digest_of(token))
    assert identity is not None

    assert is_program(world.tokens, world.people, identity)
    body = {"name": "child", "scopes": ["read"]}
    assert office.call(operations.CREATE_TOKEN, token, body)[0] == 403
    assert office.call(DECIDE_APPROVAL, token, {"path": "/a", "approve": True}, id="x")[0] == 403


def test_list_of_tokens_has_kind_and_scopes(office: Office) -> None:
    assistant(office, "author")

    listed = office.call(operations.LIST_TOKENS, office.token("ann"))[1]["tokens"]

    found = next(one for one in listed if one["kind"] == "assistant")
    assert found["scopes"] == ["read", "control", "author"]
    assert found["name"] == "laptop"


def test_every_request_is_audited_with_the_name_of_the_client(office: Office) -> None:
    token = assistant(office, "author", "use_secrets")
    id_ = launched(office, token)
    office.client = "claude-code/2.1\n<b>"
    office.world.now += 1
    office.call(GET, token, id=id_)
    office.world.now += 1
    office.call(CONTROL, token, {"action": "skip", "paths": ["/a"]}, id=id_)
    office.world.now += 1
    office.call(operations.LIST_MEMBERS, token)

    entries = office.world.audit.page("acme", AuditParams()).entries

    assert [(one.operation, one.status, one.client) for one in entries[:3]] == [
        ("list_members", 403, "claude-code/2.1?<b>"),
        ("control", 200, "claude-code/2.1?<b>"),
        ("get_pipeline", 200, "claude-code/2.1?<b>"),
    ]
    assert entries[1].paths == ("/a",)
    assert entries[1].scopes == ("read", "control", "author", "use_secrets")
    office.call(LIST, office.token("ann"))
    assert office.world.audit.page("acme", AuditParams()).entries[0].operation == "list_members"


def test_pace_of_an_assistant_is_limited(office: Office) -> None:
    token = assistant(office, "read")
    digest = digest_of(token)
    for _ in range(MAX_REQUESTS - 1):
        office.world.tokens.count_in_minute("requests", digest)

    assert office.call(LIST, token)[0] == 200
    status, answer = office.call(LIST, token)
    assert (status, answer["title"]) == (429, "too many requests")
    assert office.call(LIST, office.token("ann"))[0] == 200
    office.world.now += 60
    assert office.call(LIST, token)[0] == 200


def test_assistant_opens_no_socket(office: Office) -> None:
    token = assistant(office, "read")
    sockets = office.world.services.sockets

    answer = sockets.connect("c1", {"authorization": f"Bearer {token}"})

    assert answer == FORBIDDEN
    message = json.dumps({"subscribe": "x", "token": token})
    assert sockets.message("c2", message) == FORBIDDEN
