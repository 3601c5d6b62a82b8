"""Every operation of the cloud's API, for every kind of caller; and across organisations.

The cases are generated from the table of operations, so that a new operation is in them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.people.test_people import ORG, Office

from chalicelib.api.dispatch import Request
from chalicelib.api.transfers import new_key
from chalicelib.api.websocket import FORBIDDEN
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of, membership_digest
from chalicelib.run import effects as event_push
from chalicelib.services import Services
from conducto_core.api.cloud_operations import BODY_KEY, CLOUD_OPERATIONS
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.api.operation import AnyOperation, Permission
from conducto_core.children.operations import CHILD_OPERATIONS
from conducto_core.people.model import Member, Role
from conducto_core.people.operations import ORGANISATION_OPERATIONS
from conducto_core.people.rules import INHERITED, PURPOSES, permissions_of
from conducto_core.run.operations import LAUNCH as LAUNCH_OPERATION
from conducto_core.workers.operations import WORKER_OPERATIONS
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from pathlib import Path

USERS = (*CLOUD_OPERATIONS, *ORGANISATION_OPERATIONS)
ALL = (*USERS, *CHILD_OPERATIONS, *WORKER_OPERATIONS)
LAUNCH = {"tree": form(serial(leaf("a")))}
SCHEDULE = {
    "name": "x",
    "cron": "0 0 * * *",
    "what": {"kind": "git", "url": "https://x.example/y.git", "command": "python pipeline.py"},
}
BODIES: dict[str, Any] = {
    "launch": LAUNCH,
    "launch_again": {},
    "start_program": {},
    "own_builds": LAUNCH,
    "plan_cache": LAUNCH,
    "continue_pipeline": {"launch": LAUNCH},
    "control": {"action": "run", "paths": ["/"]},
    "quarantine_test": {"test": "t", "until": 2e9, "reason": "why"},
    "decide_approval": {"path": "/a", "approve": True},
    "debug": {"path": "/a"},
    "exec_in_failure": {"path": "/a", "command": "env"},
    "open_shell": {"path": "/a"},
    "open_remote_shell": {"path": "/a"},
    "put_secrets": {"secrets": []},
    "delete_secrets": {"keys": []},
    "upload_contexts": {"contexts": []},
    "write_data": "x",
    "write_user_data": "x",
    "create_organisation": {"name": "new"},
    "change_role": {"role": "viewer"},
    "create_invitation": {"email": "x@y.z"},
    "accept_invitation": {},
    "set_spend_limit": {},
    "start_cli_login": {"challenge": "0" * 64},
    "exchange_cli_code": {"verifier": "0" * 43},
    "exchange_ci_token": {"org": ORG},
    "put_trust": {"repository": "1", "ref": "refs/heads/main", "permissions": ["read"]},
    "create_schedule": SCHEDULE,
    "change_schedule": {key: one for key, one in SCHEDULE.items() if key != "name"},
    "backfill_schedule": {"start": 0, "end": 1},
    "try_event": {"payload": {}},
    "put_notification_rule": {"channel": "webhook", "to": "https://hooks.example.org/x"},
    "launch_from_git": {"url": "http://git.invalid/acme/app"},
    "put_trigger": {"provider": "github", "repository": "https://github.com/acme/app"},
    "create_token": {"name": "x", "permissions": ["read"]},
    "test_trigger": {},
    "start_github_app": {"title": "x", "redirect": "http://127.0.0.1:1/"},
    "finish_github_app": {"code": "x", "state": "x"},
}
QUERY = {
    "path": "/a",
    "name": "x",
    "cron": "0 0 * * *",
    "image": "i",
    "text": "x",
    "count": "1",
    "first": "1",
    "since": "0",
    "confirm": ORG,
}


class NoRefs:
    """Repositories without a branch, so that no test calls a server."""

    def find(self, _url: str, _ref: str) -> None:
        return None


class Matrix(Office):
    """An organisation with a member of each role, a pipeline, and callers of every kind."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder=folder)
        self.world.cloud = self.world.over(refs=NoRefs())
        self.world.services = Services(self.world.cloud)
        self.api = self.world.services.api(lambda _caller: MemoryResponses())
        self.join("target", Role.VIEWER)
        self.callers: dict[str, Identity | None] = {"no token": None}
        self.callers |= {role.value: self.known(self.join(f"{role}-user", role)) for role in Role}
        removed, expired = self.join("removed", Role.OWNER), self.join("expired", Role.OWNER)
        self.callers |= {"removed": self.known(removed), "expired": self.known(expired)}
        self.pipeline = self.world.launch(serial(leaf("a")), run=False)
        member = self.world.people.member(ORG, "removed")
        assert member is not None
        self.world.people.change(ORG, member, None, None)
        token = self.callers["expired"]
        assert token is not None
        self.world.tokens.put(
            token.token, token, expires=self.world.now - 1, parent=membership_digest(ORG, "expired")
        )

    def known(self, token: str) -> Identity:
        found = self.world.tokens.find(digest_of(token))
        assert found is not None
        return found

    def send(self, operation: AnyOperation, caller: Identity | None) -> tuple[int, Any]:
        params = {name: QUERY[name] for name in operation.params.model_fields if name in QUERY}
        known = {
            "{id}": self.pipeline if operation in CLOUD_OPERATIONS else "0123456789abcdef",
            "{user}": "target",
            "{org}": ORG,
            "{shell}": "s1",
            "{name}": "x",
        }
        in_path = {key.strip("{}"): one for key, one in known.items() if key in operation.path}
        return self.call_as(operation, caller, BODIES.get(operation.name), **{**params, **in_path})


def expected(operation: AnyOperation, permissions: frozenset[str]) -> bool:
    """Return whether a caller with these permissions may execute an operation."""
    needed = {operation.permission.value}
    if operation.permission is Permission.DEBUG:
        needed |= {Permission.CHANGE_STATE.value, Permission.SECRETS.value}
    return needed <= permissions


@pytest.mark.parametrize("operation", ALL, ids=lambda one: one.name)
def test_each_role_may_execute_the_operations_of_its_permissions(
    operation: AnyOperation, tmp_path: Path
) -> None:
    matrix = Matrix(tmp_path)

    for name, caller in matrix.callers.items():
        status, _ = matrix.send(operation, caller)
        if name in ("no token", "removed", "expired"):
            assert status == 401, name
        elif expected(operation, permissions_of(Role(name))):
            assert status not in (401, 403), (name, status)
            assert status < 500, (name, status)
        else:
            assert status == 403, (name, status)


def test_matrix_has_a_body_for_each_operation_that_needs_one() -> None:
    needing = {one.name for one in USERS if one.body is not None}

    assert needing <= BODIES.keys()


@pytest.mark.parametrize("purpose", sorted(PURPOSES))
def test_token_for_one_purpose_executes_nothing_else(purpose: Permission, tmp_path: Path) -> None:
    matrix = Matrix(tmp_path)
    caller = Identity(ORG, "ann", frozenset({purpose.value}), token="code")
    matrix.world.tokens.put("code", caller, expires=None)

    allowed = {purpose}
    if purpose is Permission.WORKER:  # a started worker requests new credentials
        allowed.add(Permission.START_WORKER)
    for operation in ALL:
        if operation.permission not in allowed:
            assert matrix.send(operation, caller)[0] == 403, operation.name


def test_no_operation_reaches_another_organisation(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path)
    world = matrix.world
    owner = Member(user="stranger", role=Role.OWNER, joined=0.0)
    world.people.join("other", owner)
    world.vault.replace(f"org/{ORG}", {"SHARED": {"value": "v"}}, "")
    before = (
        world.people.members(ORG),
        world.tokens.list_by_org(ORG),
        world.store.record(ORG, matrix.pipeline),
    )
    digest = "f" * 64
    identity = Identity("other", "stranger", INHERITED)

    for operation in USERS:
        root = membership_digest("other", "stranger")
        world.tokens.put(digest, identity, expires=None, parent=root)
        caller = world.tokens.find(digest)
        if caller is None or operation.permission in PURPOSES:
            continue
        status, response = matrix.send(operation, caller)
        assert status < 500, operation.name
        if "{id}" in operation.path or "{user}" in operation.path or "{org}" in operation.path:
            assert status in (404, 409, 422), (operation.name, status)
        told = str(response)
        for private in ("target", "SHARED", "owner-user", "acme.example"):
            if private == "target" and ("{user}" in operation.path or "audit" in operation.path):
                continue  # the stranger's own requests name the user
            assert private not in told, operation.name
        if world.people.member("other", "stranger") is None:
            world.people.join("other", owner)

    assert before == (
        world.people.members(ORG),
        world.tokens.list_by_org(ORG),
        world.store.record(ORG, matrix.pipeline),
    )


def test_socket_of_another_organisation_follows_nothing(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path)
    world = matrix.world
    stranger = matrix.join("stranger", Role.OWNER, org="other")
    sockets = world.services.sockets
    sockets.connect("c1", {"authorization": f"Bearer {stranger}"})

    sockets.message("c1", json.dumps({"subscribe": matrix.pipeline}))

    assert world.connections.followers(matrix.pipeline) == []
    assert [json.loads(frame)["status"] for frame in world.gateway.sent["c1"]] == [404]


def test_open_socket_of_a_removed_member_gets_nothing_more(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path)
    world = matrix.world
    token = matrix.join("bob", Role.VIEWER)
    sockets = world.services.sockets
    sockets.connect("c1", {"authorization": f"Bearer {token}"})
    sockets.message("c1", json.dumps({"subscribe": matrix.pipeline}))
    assert [name for name, _ in world.connections.followers(matrix.pipeline)] == ["c1"]
    member = world.people.member(ORG, "bob")
    assert member is not None
    world.people.change(ORG, member, None, None)  # by another process, which has not closed it
    before = len(world.gateway.sent.get("c1", []))

    world.control(matrix.pipeline, "skip", "/a")
    with world.engine.reading(ORG, matrix.pipeline) as live:
        event_push.publish(world.cloud.records, world.cloud.connections, live)

    assert world.gateway.closed == ["c1"]
    assert len(world.gateway.sent.get("c1", [])) == before
    assert sockets.message("c1", json.dumps({"subscribe": matrix.pipeline})) == FORBIDDEN


def test_uploaded_body_of_another_organisation_cannot_be_used(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path)
    owner, stranger = matrix.callers["owner"], matrix.known(matrix.join("x", Role.OWNER, org="o"))
    assert owner is not None
    key = new_key(owner)
    matrix.world.blobs.put(key, json.dumps(LAUNCH).encode())
    request = Request({}, (), {BODY_KEY.lower(): key, "content-type": "application/json"}, b"")

    assert matrix.api.call(LAUNCH_OPERATION, stranger, request).status == 422
    assert matrix.api.call(LAUNCH_OPERATION, owner, request).status == 200
