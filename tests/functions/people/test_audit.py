"""The audit log over the dispatch of the API: no action without an entry, whatever happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.api.test_route_matrix import Matrix
from tests.functions.people.test_people import ORG, Office
from tests.functions.triggers.test_triggers import Site

from chalicelib.api.dispatch import Request
from chalicelib.api.transfers import new_key
from chalicelib.errors import ThrottledError
from chalicelib.people.port import Identity, VerifiedPerson
from chalicelib.people.store.members import TableAuditLog, TablePeople, TableTokens
from chalicelib.people.tokens import digest_of
from chalicelib.run.store import JournalStore
from chalicelib.services import Services
from conducto_core.api.cloud_operations import BODY_KEY, CLOUD_OPERATIONS
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.api.operation import Bytes, Permission
from conducto_core.people.model import AuditParams, Member, Role
from conducto_core.people.operations import LIST_AUDIT, ORGANISATION_OPERATIONS, START_SESSION
from conducto_core.programs.rules.programs import word_problem
from conducto_core.run.operations import CONTROL
from conducto_core.triggers.rules.config import TriggerConfigError, parse_config
from conducto_core.workers.operations import WORKER_OPERATIONS
from support.cloud.world import World
from support.git_provider import git_host
from support.trees import leaf, serial
from support.webhooks import generic_signed

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.run.port import Entry
    from conducto_core.api.dispatch import Response
    from conducto_core.api.operation import AnyOperation
    from conducto_core.people.model import AuditEntry

DEEP = b"[" * 100_000
SKIP = {"action": "skip", "paths": ["/a"]}
ALL = (*CLOUD_OPERATIONS, *ORGANISATION_OPERATIONS, *WORKER_OPERATIONS)
WITH_JSON = tuple(one for one in ALL if one.body not in {None, Bytes})


class Desk(Office):
    """An organisation with a pipeline, whose owner sends requests with any body."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.owner = self.known(self.join("ann", Role.OWNER))
        self.pipeline = self.world.launch(serial(leaf("a")), run=False)

    def use_log(self, log: type[TableAuditLog]) -> None:
        """Serve requests with another kind of audit log."""
        self.world.use(audit=log(self.world.table, lambda: self.world.now))
        self.api = self.world.services.api(lambda _caller: MemoryResponses())

    def known(self, token: str) -> Identity:
        found = self.world.tokens.find(digest_of(token))
        assert found is not None
        return found

    def uploaded(self, body: bytes) -> str:
        key = new_key(self.owner)
        self.world.blobs.put(key, body)
        return key

    def control(
        self, body: bytes, key: str | None = None, caller: Identity | None = None
    ) -> Response:
        headers = {"content-type": "application/json"}
        if key is not None:
            headers[BODY_KEY.lower()] = key
        request = Request({"id": self.pipeline}, (), headers, body, "r-1")
        return self.api.call(CONTROL, caller or self.owner, request)

    def entries(self) -> list[tuple[str, tuple[str, ...], int | None]]:
        found = self.world.cloud.records.audit.page(ORG, AuditParams()).entries
        return [(entry.operation, entry.paths, entry.status) for entry in found]

    def is_skipped(self) -> bool:
        return self.world.nodes(self.pipeline)["/a"].skipped


@pytest.fixture
def desk() -> Desk:
    return Desk()


def padded(body: dict[str, Any], size: int) -> bytes:
    text = json.dumps(body)
    return text.encode() + b" " * (size - len(text))


def test_action_of_an_uploaded_body_is_audited_beside_any_direct_body(desk: Desk) -> None:
    response = desk.control(DEEP, desk.uploaded(json.dumps(SKIP).encode()))

    assert (response.status, desk.is_skipped()) == (200, True)
    assert desk.entries() == [("control", ("/a",), 200)]


@pytest.mark.parametrize("is_uploaded", [False, True])
def test_paths_of_large_bodies_are_audited(desk: Desk, is_uploaded: bool) -> None:
    body = padded(SKIP, 300 << 10)
    decoy = json.dumps({"action": "skip", "paths": ["/decoy"]}).encode()

    response = desk.control(decoy, desk.uploaded(body)) if is_uploaded else desk.control(body)

    assert response.status == 200
    assert desk.entries() == [("control", ("/a",), 200)]


def test_refused_request_with_an_upload_is_audited_with_its_paths(desk: Desk) -> None:
    viewer = desk.known(desk.join("vic", Role.VIEWER))
    key = new_key(viewer)
    desk.world.blobs.put(key, json.dumps(SKIP).encode())

    assert desk.control(b"", key, viewer).status == 403
    assert desk.entries() == [("control", ("/a",), 403)]


def test_uploaded_body_above_the_limit_is_refused_and_audited(desk: Desk) -> None:
    key = desk.uploaded(padded(SKIP, CONTROL.max_body + 1))

    assert desk.control(b"", key).status == 413
    assert (desk.entries(), desk.is_skipped()) == ([("control", (), 413)], False)


class ProcessKilledError(BaseException):
    """Lambda ends the process."""


class Interruptible(JournalStore):
    """A store whose process is killed after a commit, if it is armed."""

    armed = False

    def commit(self, org: str, pipeline_id: str, entry: Entry) -> None:
        super().commit(org, pipeline_id, entry)
        if self.armed:
            raise ProcessKilledError


def interrupted_desk(**more: Any) -> Desk:
    """Return a desk whose process was killed after an action, before its response."""
    desk = Desk(**more)
    store = Interruptible(desk.world.table, desk.world.blobs, desk.world.orgs)
    desk.world.use(store=store)
    desk.pipeline = desk.world.launch(serial(leaf("a")), run=False)
    api = desk.world.services.api(lambda _caller: MemoryResponses())
    request = Request({"id": desk.pipeline}, (), {}, json.dumps(SKIP).encode(), "r-1")
    store.armed = True
    with pytest.raises(ProcessKilledError):
        api.call(CONTROL, desk.owner, request)
    store.armed = False
    desk.world.services = Services(desk.world.cloud)  # another process
    return desk


def test_interrupted_action_has_an_entry_without_a_status() -> None:
    interrupted = interrupted_desk()

    assert interrupted.is_skipped()
    assert interrupted.entries() == [("control", ("/a",), None)]
    entry = interrupted.world.cloud.records.audit.page(ORG, AuditParams()).entries[0]
    assert (entry.user, entry.subject, entry.request) == ("ann", interrupted.pipeline, "r-1")


def test_reading_the_audit_log_does_not_show_itself_as_unknown(desk: Desk) -> None:
    first = desk.api.call(LIST_AUDIT, desk.owner, Request({}, (), {}, b"", "r-1"))
    second = desk.api.call(LIST_AUDIT, desk.owner, Request({}, (), {}, b"", "r-2"))

    assert json.loads(first.body)["entries"] == []
    found = json.loads(second.body)["entries"]
    assert [(one["request"], one["status"]) for one in found] == [("r-1", 200)]


class FullLog(TableAuditLog):
    """An audit log that cannot store."""

    def add(self, org: str, entry: AuditEntry) -> str:
        raise ThrottledError("too many writes")


class EndlessLog(TableAuditLog):
    """An audit log that stores no end."""

    def end(self, org: str, position: str, status: int, subject: str | None) -> None:
        raise ThrottledError("too many writes")


def test_request_whose_entry_cannot_be_stored_is_refused() -> None:
    desk = Desk()
    desk.use_log(FullLog)

    assert desk.control(json.dumps(SKIP).encode()).status == 503
    assert not desk.is_skipped()


def test_request_whose_end_cannot_be_stored_keeps_its_response() -> None:
    desk = Desk()
    desk.use_log(EndlessLog)

    assert desk.control(json.dumps(SKIP).encode()).status == 200
    assert desk.entries() == [("control", ("/a",), None)]


class Killed(TableTokens):
    """Tokens whose process is killed when a token has been issued, if it is armed."""

    armed = False

    def put(self, digest: str, identity: Identity, **more: Any) -> None:
        super().put(digest, identity, **more)
        if self.armed:
            raise ProcessKilledError


def test_interrupted_sign_in_has_an_entry_of_its_member() -> None:
    world = World()
    tokens = Killed(world.table, lambda: world.now)
    people = TablePeople(world.table, tokens)
    world.use(tokens=tokens, people=people)
    person = VerifiedPerson("https://issuer", "p", "ann@acme.example", 1e9)
    people.join(ORG, Member(user="ann", role=Role.OWNER, joined=0.0), person=person)
    api = world.services.api(lambda _caller: MemoryResponses())
    caller = Identity("", "", frozenset({"sign_in"}), token="digest", person=person)
    tokens.armed = True

    with pytest.raises(ProcessKilledError):
        api.call(START_SESSION, caller, Request({}, (), {}, b"", "r-1"))

    (entry,) = world.audit.page(ORG, AuditParams()).entries
    assert (entry.user, entry.operation, entry.status) == ("ann", "start_session", None)


# ---- deeply nested JSON -------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WITH_JSON, ids=lambda one: one.name)
def test_deep_json_is_refused_on_every_route(operation: AnyOperation, tmp_path: Path) -> None:
    matrix = Matrix(tmp_path)
    params = {"id": matrix.pipeline, "user": "target", "org": ORG, "shell": "s1", "name": "x"}
    in_path = {name: one for name, one in params.items() if f"{{{name}}}" in operation.path}
    query = (("path", "/a"),) if "path" in operation.params.model_fields else ()
    needed = {operation.permission.value}
    if operation.permission is Permission.DEBUG:
        needed |= {Permission.CHANGE_STATE.value, Permission.SECRETS.value}
    caller = Identity(ORG, "ann", frozenset(needed), token="t")
    matrix.world.tokens.put("t", caller, expires=None)
    is_deep = {}

    for depth in (150, 250, 100_000):
        nested = b'{"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
        headers = {"content-type": "application/json"}
        response = matrix.api.call(operation, caller, Request(in_path, query, headers, nested))
        is_deep[depth] = (response.status, json.loads(response.body)["title"])

    refused = (400, "body too deep")
    assert is_deep == {150: (422, "invalid request"), 250: refused, 100_000: refused}


def test_deep_json_of_a_webhook_is_refused() -> None:
    with git_host() as host:
        site = Site(host)
        site.add(provider="generic", command="python p.py")
        headers = generic_signed(DEEP, site.world.now, site.secret)

        assert site.receive(headers, DEEP) == 400
        assert site.receive({**headers, "conducto-signature": "v1=0"}, DEEP) == 401
        assert site.deliveries() == ()


def test_deep_json_on_a_socket_is_refused(desk: Desk) -> None:
    sockets = desk.world.services.sockets
    sockets.connect("c1", {"authorization": f"Bearer {desk.token('ann')}"})

    sockets.message("c1", DEEP.decode())

    assert [json.loads(frame)["status"] for frame in desk.world.gateway.sent["c1"]] == [400]


def test_deep_json_in_arguments_of_a_program_is_a_wrong_value() -> None:
    assert word_problem({"type": "array", "items": {"type": "integer"}}, "[" * 100_000) is not None
    with pytest.raises(TriggerConfigError, match="not valid JSON"):
        parse_config(f"[push]\ncommand = x\ninstall_pip = {'[' * 10_000}\n")
