"""Members, invitations, tokens and sessions of an organisation, through the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.api.callers import FRESH_SECONDS
from chalicelib.api.dispatch import Request
from chalicelib.errors import ThrottledError
from chalicelib.people.members import FRESH_SECONDS as FRESH_SESSION
from chalicelib.people.port import Identity, VerifiedPerson
from chalicelib.people.sign_in import TrustedRuns
from chalicelib.people.store.members import TableAuditLog, TableTokens
from chalicelib.people.tokens import digest_of, membership_digest, new_token, trust_digest
from conducto.integrations.http import DeliveryError
from conducto_core.api.cloud_operations import CLOUD_LOGIN, WHO_AM_I
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.billing.rules import Billing, Status
from conducto_core.cache.model import CacheEntry
from conducto_core.installation.names import contents_directory, user_directory
from conducto_core.people import operations
from conducto_core.people.model import AuditParams, Member, Role, TrustRequest
from conducto_core.people.operations import PUT_TRUST, START_SESSION
from conducto_core.people.rules import INHERITED
from conducto_core.run.model.states import Cause
from conducto_core.run.operations import CONTROL, LAUNCH, LIST
from conducto_core.schedules.operations import CREATE_SCHEDULE
from conducto_core.secrets.operations import PUT_SECRETS, SECRETS
from conducto_core.triggers.operations import PUT_TRIGGER
from support.cloud.world import ME, World
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.functions.conftest import Front

    from conducto_core.api.operation import AnyOperation

ORG = "acme"
DAY = 86_400.0


class Office:
    """An organisation with members, whose requests go through the dispatch of the API."""

    def __init__(self, **more: Any) -> None:
        self.world = World(**more)
        self.api = self.world.services.api(lambda _caller: MemoryResponses())
        self.client = ""

    def join(self, user: str, role: Role = Role.MEMBER, org: str = ORG, **more: Any) -> str:
        """Add a member, and return a token of theirs."""
        email = f"{user}@acme.example"
        member = Member(user=user, role=role, joined=self.world.now, email=email)
        self.world.people.join(org, member, **more)
        return self.token(user, org)

    def token(self, user: str, org: str = ORG, **more: Any) -> str:
        token, digest = new_token()
        identity = Identity(org, user, INHERITED)
        parent = membership_digest(org, user)
        self.world.tokens.put(digest, identity, expires=None, parent=parent, **more)
        return token

    def call(
        self, operation: AnyOperation, token: str, body: Any = None, /, **params: str
    ) -> tuple[int, Any]:
        """Send a request; API Gateway has found the token once, if it was ever valid."""
        known = self.world.tokens.find(digest_of(token))
        return self.call_as(operation, known, body, **params)

    def call_as(
        self, operation: AnyOperation, known: Identity | None, body: Any = None, /, **params: str
    ) -> tuple[int, Any]:
        in_path = {name: one for name, one in params.items() if f"{{{name}}}" in operation.path}
        query = tuple((name, one) for name, one in params.items() if name not in in_path)
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "conducto-client": self.client}
        response = self.api.call(operation, known, Request(in_path, query, headers, data, "r-1"))
        is_json = "json" in response.media_type
        return response.status, json.loads(response.body) if is_json else response.body

    def invited(self, admin: str, **body: Any) -> dict[str, Any]:
        request = {"email": "New.Person@acme.example", **body}
        status, made = self.call(operations.CREATE_INVITATION, admin, request)
        assert status == 200, made
        return dict(made)


@pytest.fixture
def office() -> Office:
    return Office()


# ---- members ----------------------------------------------------------------------------------


def test_only_administrators_see_addresses(office: Office) -> None:
    admin, viewer = office.join("bea", Role.ADMIN), office.join("abe", Role.VIEWER)
    office.join("eve", org="other")

    seen = [office.call(operations.LIST_MEMBERS, one)[1]["members"] for one in (admin, viewer)]

    assert [(m["user"], m["role"], m["email"]) for m in seen[0]] == [
        ("abe", "viewer", "abe@acme.example"),
        ("bea", "admin", "bea@acme.example"),
    ]
    assert [m["email"] for m in seen[1]] == [None, None]


def test_root_token_of_a_member_cannot_be_sent(office: Office) -> None:
    office.join("ann", Role.OWNER)

    for forged in (membership_digest(ORG, "ann"), "membership|acme|ann"):
        assert office.call(operations.LIST_MEMBERS, forged)[0] == 401


def test_change_of_a_role_takes_effect_within_five_seconds_in_an_open_session(
    office: Office,
) -> None:
    owner, bob = office.join("ann", Role.OWNER), office.join("bob", Role.MEMBER)
    session = office.world.tokens.find(digest_of(bob))  # API Gateway caches it for minutes
    other_process = office.world.services.api(lambda _caller: MemoryResponses())
    assert office.call_as(SECRETS, session)[0] == 200

    assert office.call(operations.CHANGE_ROLE, owner, {"role": "viewer"}, user="bob")[0] == 200

    assert office.call_as(SECRETS, session)[0] == 403
    assert office.call_as(LIST, session)[0] == 200
    assert office.call(operations.CHANGE_ROLE, owner, {"role": "admin"}, user="bob")[0] == 200
    assert office.call_as(operations.LIST_AUDIT, session)[0] == 200
    office.api = other_process
    assert office.call_as(operations.LIST_AUDIT, session)[0] == 200


def test_removed_member_cannot_read_after_five_seconds_in_any_process(office: Office) -> None:
    owner, bob = office.join("ann", Role.OWNER), office.join("bob", Role.ADMIN)
    session = office.world.tokens.find(digest_of(bob))
    here, elsewhere = office.api, office.world.services.api(lambda _caller: MemoryResponses())
    office.api = elsewhere
    assert office.call_as(LIST, session)[0] == 200
    office.api = here

    assert office.call(operations.REMOVE_MEMBER, owner, user="bob") == (
        200,
        {"user": "bob", "suspended": []},
    )

    assert office.call_as(LIST, session)[0] == 401
    office.api = elsewhere
    office.world.now += FRESH_SECONDS
    for operation in (LIST, WHO_AM_I, operations.LIST_MEMBERS):
        assert office.call_as(operation, session)[0] == 401


def test_removal_revokes_minted_tokens_and_closes_sockets(office: Office) -> None:
    world = office.world
    owner = office.join("ann", Role.OWNER)
    office.join("bob")
    world.tokens.put("minted", Identity(ORG, "bob", INHERITED), expires=None)
    world.tokens.put(
        "session", Identity(ORG, "bob", INHERITED), expires=None, parent="minted", kind="session"
    )
    for name, token in (("s1", "minted"), ("s2", "session"), ("s3", digest_of(owner))):
        known = world.tokens.find(token)
        assert known is not None
        world.connections.opened(name, token, known.parent)

    office.call(operations.REMOVE_MEMBER, owner, user="bob")

    assert sorted(world.gateway.closed) == ["s1", "s2"]
    assert world.tokens.find("minted") is None


def test_pipelines_and_secrets_of_a_member_stay_when_they_leave(office: Office) -> None:
    office.join("ann", Role.OWNER)
    bob = office.join("bob")
    office.call(PUT_SECRETS, bob, {"secrets": [{"key": "K", "value": "v"}]})
    pipeline = office.world.launch(serial(leaf("a")))

    assert office.call(operations.LEAVE, bob)[0] == 200

    assert office.call(LIST, bob)[0] == 401
    assert office.world.vault.read("user/acme/bob") != {}
    assert office.world.store.record(ORG, pipeline) is not None


def test_last_owner_cannot_leave_or_step_down(office: Office) -> None:
    ann = office.join("ann", Role.OWNER)

    for status, problem in (
        office.call(operations.LEAVE, ann),
        office.call(operations.REMOVE_MEMBER, ann, user="ann"),
        office.call(operations.CHANGE_ROLE, ann, {"role": "admin"}, user="ann"),
    ):
        assert (status, "last owner" in problem["detail"]) == (409, True)
    office.join("bob", Role.OWNER)
    assert office.call(operations.LEAVE, ann)[0] == 200


def test_administrator_cannot_touch_owners(office: Office) -> None:
    office.join("ann", Role.OWNER)
    office.join("cem", Role.OWNER)
    admin = office.join("bob", Role.ADMIN)

    for status, problem in (
        office.call(operations.REMOVE_MEMBER, admin, user="ann"),
        office.call(operations.CHANGE_ROLE, admin, {"role": "viewer"}, user="ann"),
        office.call(operations.CHANGE_ROLE, admin, {"role": "owner"}, user="bob"),
        office.call(operations.CREATE_INVITATION, admin, {"email": "a@b.c", "role": "owner"}),
    ):
        assert (status, "manage_billing" in problem["detail"]) == (403, True)


def test_unknown_member_is_not_found(office: Office) -> None:
    ann = office.join("ann", Role.OWNER)

    for operation, body in (
        (operations.REMOVE_MEMBER, None),
        (operations.CHANGE_ROLE, {"role": "viewer"}),
    ):
        assert office.call(operation, ann, body, user="zoe")[0] == 404


def test_organisations_secrets_need_an_administrator(office: Office) -> None:
    member, admin = office.join("bob"), office.join("ann", Role.ADMIN)
    shared = {"secrets": [{"key": "K", "value": "v", "scope": "org"}]}

    assert office.call(PUT_SECRETS, member, shared)[0] == 403
    assert office.call(PUT_SECRETS, member, {"secrets": [{"key": "K", "value": "v"}]})[0] == 200
    assert office.call(PUT_SECRETS, admin, shared)[0] == 200


def test_administrator_cannot_trust_ci_runs_with_more_than_they_have(office: Office) -> None:
    admin = office.join("bob", Role.ADMIN)
    asked = {"repository": "1", "ref": "refs/heads/main", "permissions": ["manage_billing"]}

    for managing in ("manage_billing", "manage_organisation"):
        asked["permissions"] = [managing]
        assert office.call(PUT_TRUST, admin, asked, name="ci")[0] == 422
    asked["permissions"] = ["launch"]
    assert office.call(PUT_TRUST, admin, asked, name="ci")[0] == 200


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN])
def test_demoted_member_does_not_promote_themselves_in_another_process(
    office: Office, role: Role
) -> None:
    owner, bob = office.join("ann", Role.OWNER), office.join("bob", role)
    here, elsewhere = office.api, office.world.services.api(lambda _caller: MemoryResponses())
    session = office.world.tokens.find(digest_of(bob))
    office.api = elsewhere
    assert office.call_as(LIST, session)[0] == 200
    office.api = here
    assert office.call(operations.CHANGE_ROLE, owner, {"role": "viewer"}, user="bob")[0] == 200

    office.api = elsewhere
    status, _ = office.call_as(operations.CHANGE_ROLE, session, {"role": role}, user="bob")

    assert status == 403


@pytest.mark.parametrize("change", ["demoted", "removed"])
def test_invitations_end_with_the_right_of_their_author(office: Office, change: str) -> None:
    owner, admin = office.join("ann", Role.OWNER), office.join("bob", Role.ADMIN)
    back, kept = (office.invited(one, role="admin", user=f"x-{one}") for one in (admin, owner))

    if change == "demoted":
        office.call(operations.CHANGE_ROLE, owner, {"role": "member"}, user="bob")
    else:
        office.call(operations.REMOVE_MEMBER, owner, user="bob")

    assert office.call(operations.ACCEPT_INVITATION, back["code"], {})[0] == 410
    assert office.call(operations.ACCEPT_INVITATION, kept["code"], {})[0] == 200


def test_owner_who_becomes_an_administrator_keeps_other_invitations(office: Office) -> None:
    owner, bob = office.join("ann", Role.OWNER), office.join("bob", Role.OWNER)
    made = [office.invited(bob, role=role, user=role)["code"] for role in ("owner", "member")]

    office.call(operations.CHANGE_ROLE, owner, {"role": "admin"}, user="bob")

    statuses = [office.call(operations.ACCEPT_INVITATION, code, {})[0] for code in made]
    assert statuses == [410, 200]


class HaltingTokens(TableTokens):
    """Tokens whose roots cannot be written after the first one."""

    roots = 0

    def put_root(self, digest: str, identity: Identity) -> None:
        self.roots += 1
        if self.roots > 1:
            raise ThrottledError("too many writes")
        super().put_root(digest, identity)


def test_interrupted_change_of_a_trust_leaves_no_earlier_permission() -> None:
    office = Office()
    tokens = HaltingTokens(office.world.table, lambda: 0.0)
    records = office.world.over(tokens=tokens).records
    trusts = TrustedRuns(records, lambda: office.world.now, ME)
    asked = {"repository": "1", "ref": "refs/heads/main"}
    trusts.put("ci", TrustRequest(**asked, permissions=("read", "launch")))

    with pytest.raises(ThrottledError):
        trusts.put("ci", TrustRequest(**asked, permissions=("read",)))

    assert tokens.find(trust_digest(ORG, "ci")) is None


# ---- invitations ------------------------------------------------------------------------------


def test_invitation_makes_a_member_once(office: Office) -> None:
    admin = office.join("ann", Role.ADMIN)
    made = office.invited(admin, role="viewer")

    status, login = office.call(operations.ACCEPT_INVITATION, made["code"], {})
    again = office.call(operations.ACCEPT_INVITATION, made["code"], {})

    assert (status, login["user"], login["role"]) == (200, "new.person", "viewer")
    assert office.call(LIST, login["token"])[0] == 200
    assert office.call(SECRETS, login["token"])[0] == 403
    assert (again[0], "accepted" in again[1]["detail"]) == (410, True)
    assert office.call(operations.LIST_INVITATIONS, admin)[1]["invitations"] == []


def test_code_of_an_invitation_permits_nothing_else(office: Office) -> None:
    made = office.invited(office.join("ann", Role.OWNER), role="owner")

    for operation in (LIST, operations.LIST_MEMBERS, START_SESSION, CLOUD_LOGIN):
        assert office.call(operation, made["code"])[0] == 403


def test_withdrawn_and_expired_invitations_are_refused(office: Office) -> None:
    admin = office.join("ann", Role.ADMIN)
    wrong, late = office.invited(admin, email="wrong@acme.example"), office.invited(admin)

    wrong_id = wrong["invitation"]["id"]
    assert office.call(operations.WITHDRAW_INVITATION, admin, id=wrong_id)[0] == 200
    assert office.call(operations.WITHDRAW_INVITATION, admin, id=wrong_id)[0] == 404
    assert office.call(operations.ACCEPT_INVITATION, wrong["code"], {})[0] == 410
    office.world.now += 7 * DAY
    assert office.call(operations.ACCEPT_INVITATION, late["code"], {})[0] == 410
    assert [m.user for m in office.world.people.members(ORG)] == ["ann"]


def test_new_member_never_gets_the_user_id_of_a_former_member(office: Office) -> None:
    admin = office.join("ann", Role.OWNER)
    bob = office.join("bob")
    office.call(operations.LEAVE, bob)
    office.world.tokens.put("minted", Identity(ORG, "bob-2", INHERITED), expires=None)

    given = office.invited(admin, email="bob@elsewhere.example")["invitation"]["user"]
    back = office.invited(admin, email="bob@acme.example", user="bob")["invitation"]["user"]

    assert (given, back) == ("bob-3", "bob")


def test_member_is_not_invited_again(office: Office) -> None:
    admin = office.join("ann", Role.ADMIN)

    status, problem = office.call(
        operations.CREATE_INVITATION, admin, {"email": "x@y.z", "user": "ann"}
    )

    assert (status, "already a member" in problem["detail"]) == (409, True)


@pytest.mark.parametrize("email", ["", "a", "a@b\nBcc: c@d", "a@b, c@d", "<a@b>", "x" * 300 + "@a"])
def test_invalid_address_is_refused(office: Office, email: str) -> None:
    admin = office.join("ann", Role.ADMIN)

    assert office.call(operations.CREATE_INVITATION, admin, {"email": email})[0] == 422


def test_with_an_identity_provider_the_verified_address_must_match(office: Office) -> None:
    admin = office.join("ann", Role.ADMIN)
    provider = office.world.provider
    provider.configured = True
    for name, email in (("right", "new.person@acme.example"), ("other", "eve@x.y"), ("bare", "")):
        provider.people[name] = VerifiedPerson("https://issuer", name, email, office.world.now + 60)
    code = office.invited(admin)["code"]

    tried = {
        token: office.call(operations.ACCEPT_INVITATION, code, {"id_token": token})[0]
        for token in ("forged", "other", "bare", "right")
    }
    unsigned = office.call(operations.ACCEPT_INVITATION, office.invited(admin)["code"], {})[0]

    assert tried == {"forged": 401, "other": 410, "bare": 410, "right": 200}
    assert unsigned == 401
    assert office.world.identities.memberships(provider.people["right"]) == {ORG: "new.person"}


def test_id_token_accepts_one_invitation_only(office: Office) -> None:
    office.world.provider.configured = True
    person = VerifiedPerson("https://issuer", "p", "new.person@acme.example", office.world.now + 60)
    office.world.provider.people["token"] = person
    first = office.invited(office.join("ann", Role.ADMIN))["code"]
    second = office.invited(office.join("eve", Role.ADMIN, org="other"))["code"]

    statuses = [
        office.call(operations.ACCEPT_INVITATION, code, {"id_token": "token"})[0]
        for code in (first, second)
    ]

    assert statuses == [200, 401]


def test_invitation_is_mailed_where_there_is_a_server() -> None:
    sent: list[tuple[str, str, str, str | None]] = []

    def deliver(*mail: Any) -> bool:
        sent.append(mail)
        if mail[0].startswith("refused"):
            raise DeliveryError("the address was rejected")
        return True

    office = Office(mail=deliver)
    admin = office.join("ann", Role.ADMIN)
    office.world.vault.replace("org/acme", {"SMTP_PASSWORD": {"value": "pw"}}, "")
    mailed, refused = (office.invited(admin, email=f"{name}@y.z") for name in ("x", "refused"))
    silent = Office()
    unsent = silent.invited(silent.join("ann", Role.ADMIN))

    assert [one["mailed"] for one in (mailed, refused, unsent)] == [True, False, False]
    to, subject, text, password = sent[0]
    assert (to, subject, password) == ("x@y.z", "Invitation to acme", "pw")
    assert mailed["code"] in text


# ---- tokens and sessions ----------------------------------------------------------------------


def test_member_creates_lists_and_revokes_a_token(office: Office) -> None:
    bob = office.join("bob")
    asked = {"name": "nightly", "permissions": ["read"], "days": 1}

    made = office.call(operations.CREATE_TOKEN, bob, asked)[1]
    listed = office.call(operations.LIST_TOKENS, bob)[1]["tokens"]

    assert {t["name"]: t["kind"] for t in listed} == {"nightly": "token", "": "login"}
    assert office.call(LIST, made["token"])[0] == 200
    assert office.call(SECRETS, made["token"])[0] == 403
    assert office.call(operations.REVOKE_TOKEN, bob, id=made["info"]["id"]) == (200, {"revoked": 1})
    assert office.call(LIST, made["token"])[0] == 401


def test_token_ends_by_itself_and_has_no_more_than_its_creator(office: Office) -> None:
    bob = office.join("bob")
    made = office.call(
        operations.CREATE_TOKEN, bob, {"name": "x", "permissions": ["read"], "days": 1}
    )[1]
    more = office.call(
        operations.CREATE_TOKEN, bob, {"name": "x", "permissions": ["manage_organisation"]}
    )
    again = office.call(
        operations.CREATE_TOKEN, made["token"], {"name": "x", "permissions": ["read"]}
    )

    assert more[0] == 403
    assert (again[0], "program" in again[1]["detail"]) == (409, True)
    office.world.now += DAY
    assert office.call(LIST, made["token"])[0] == 401


def test_tokens_of_others_need_an_administrator(office: Office) -> None:
    owner, admin = office.join("ann", Role.OWNER), office.join("abe", Role.ADMIN)
    bob, cem = office.join("bob"), office.join("cem")
    ids = {name: digest_of(t)[:16] for name, t in (("ann", owner), ("bob", bob), ("cem", cem))}

    assert office.call(operations.LIST_TOKENS, bob, everyone="true")[0] == 403
    assert office.call(operations.LIST_TOKENS, bob, user="cem")[0] == 403
    assert office.call(operations.REVOKE_TOKEN, bob, id=ids["cem"])[0] == 404
    assert len(office.call(operations.LIST_TOKENS, admin, everyone="true")[1]["tokens"]) == 4
    assert office.call(operations.REVOKE_TOKEN, admin, id=ids["cem"])[0] == 200
    assert office.call(operations.REVOKE_TOKEN, admin, id=ids["ann"])[0] == 403
    assert office.call(LIST, cem)[0] == 401


def test_sessions_end_one_by_one_and_all_together(office: Office) -> None:
    bob = office.join("bob")
    sessions = [office.token("bob", kind="session") for _ in range(3)]
    listed = office.call(operations.LIST_SESSIONS, sessions[0])[1]["tokens"]

    assert [one["current"] for one in listed].count(True) == 1
    one = digest_of(sessions[1])[:16]
    assert office.call(operations.END_ONE_SESSION, bob, id=one) == (200, {"revoked": 1})
    assert office.call(LIST, sessions[1])[0] == 401
    assert office.call(operations.END_ALL_SESSIONS, sessions[0]) == (200, {"revoked": 2})
    assert [office.call(LIST, one)[0] for one in (sessions[0], sessions[2], bob)] == [401, 401, 200]


def test_session_creates_tokens_only_while_it_is_new(office: Office) -> None:
    office.join("bob")
    session = office.token("bob", kind="session")
    asked = {"name": "x", "permissions": ["read"]}

    assert office.call(operations.CREATE_TOKEN, session, asked)[0] == 200
    office.world.now += FRESH_SESSION + 1
    assert office.call(operations.CREATE_TOKEN, session, asked)[0] == 409


def program(office: Office, token: str, *permissions: str) -> str:
    asked = {"name": "x", "permissions": permissions or ["read"]}
    status, made = office.call(operations.CREATE_TOKEN, token, asked)
    assert status == 200, made
    return str(made["token"])


def test_token_of_a_program_starts_no_session() -> None:
    office = Office(web_app=lambda: "https://web.invalid")
    owner = office.join("ann", Role.OWNER)

    refused = office.call(CLOUD_LOGIN, program(office, owner))

    assert (refused[0], "program" in refused[1]["detail"]) == (409, True)
    assert office.call(CLOUD_LOGIN, owner)[0] == 200


def test_session_of_an_administrators_token_is_not_the_member() -> None:
    office = Office(web_app=lambda: "https://web.invalid")
    office.join("ann", Role.OWNER)
    minted, digest = new_token()
    read = Identity(ORG, "ann", frozenset({"read"}))
    office.world.tokens.put(digest, read, expires=None)
    code = office.call(CLOUD_LOGIN, minted)[1]["code"]
    session = office.call(START_SESSION, code)[1]["token"]

    made = program(office, session)
    refused = [
        office.call(operations.SWITCH_ORGANISATION, session, org=ORG)[0],
        office.call(operations.LEAVE, session)[0],
        office.call(operations.END_ALL_SESSIONS, session)[0],
    ]

    assert refused == [409] * 3
    assert office.call(LIST, made)[0] == 200
    office.world.tokens.revoke_once(digest)
    assert office.call(LIST, made)[0] == 401


def test_session_of_a_login_is_the_member() -> None:
    office = Office(web_app=lambda: "https://web.invalid")
    bob = office.join("bob")
    session = office.call(START_SESSION, office.call(CLOUD_LOGIN, bob)[1]["code"])[1]["token"]

    made = program(office, session)
    office.call(operations.END_ALL_SESSIONS, session)

    assert office.call(LIST, made)[0] == 200
    assert office.call(LIST, session)[0] == 401


def test_token_of_a_program_revokes_only_itself(office: Office) -> None:
    office.join("ann", Role.OWNER)
    bob = office.join("bob")
    session = office.token("bob", kind="session")
    reader = program(office, bob)
    ids = {one: digest_of(one)[:16] for one in (bob, session, reader)}

    refused = [
        office.call(operations.LEAVE, reader)[0],
        office.call(operations.END_ALL_SESSIONS, reader)[0],
        office.call(operations.END_ONE_SESSION, reader, id=ids[session])[0],
        office.call(operations.REVOKE_TOKEN, reader, id=ids[bob])[0],
    ]

    assert refused == [409] * 4
    assert office.call(operations.REVOKE_TOKEN, reader, id=ids[reader])[0] == 200
    assert office.call(LIST, reader)[0] == 401
    assert office.call(LIST, bob)[0] == 200


# ---- audit ------------------------------------------------------------------------------------


def test_requests_that_do_more_than_read_are_audited_without_bodies(office: Office) -> None:
    owner = office.join("ann", Role.OWNER)
    viewer = office.join("vic", Role.VIEWER)
    pipeline = office.world.launch(serial(leaf("a")))

    office.call(LIST, owner)
    office.call(PUT_SECRETS, owner, {"secrets": [{"key": "K", "value": "hidden"}]})
    office.world.now += 1  # entries of one time are in any order
    office.call(CONTROL, viewer, {"action": "reset", "paths": ["/a"]}, id=pipeline)
    entries = office.call(operations.LIST_AUDIT, owner)[1]["entries"]
    mine = office.call(operations.LIST_AUDIT, owner, user="vic")[1]["entries"]

    assert [(e["user"], e["operation"], e["status"]) for e in entries] == [
        ("vic", "control", 403),
        ("ann", "put_secrets", 200),
    ]
    assert (entries[0]["subject"], entries[0]["paths"], entries[0]["request"]) == (
        pipeline,
        ["/a"],
        "r-1",
    )
    assert entries[1]["token"] == digest_of(owner)[:16]
    assert "hidden" not in json.dumps(entries)
    assert [e["user"] for e in mine] == ["vic"]


def test_invitation_is_the_subject_of_its_creation(office: Office) -> None:
    owner = office.join("ann", Role.OWNER)
    made = office.invited(owner)

    entries = office.call(operations.LIST_AUDIT, owner)[1]["entries"]

    assert [one["subject"] for one in entries] == [made["invitation"]["id"]]


def test_audit_log_is_read_in_pages(office: Office) -> None:
    owner = office.join("ann", Role.OWNER)
    for number in range(5):
        office.call(operations.CREATE_INVITATION, owner, {"email": f"p{number}@a.b"})
    seen, after = [], {}

    while True:
        page = office.call(
            operations.LIST_AUDIT, owner, operation="create_invitation", limit="2", **after
        )[1]
        seen.append(len(page["entries"]))
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    assert sum(seen) == 5
    assert max(seen) == 2


# ---- organisations and personal data ----------------------------------------------------------


def test_person_switches_between_their_organisations(office: Office) -> None:
    person = VerifiedPerson("https://issuer", "p", "bob@x.y", 0.0)
    bob = office.join("bob", person=person)
    office.join("robert", Role.VIEWER, org="other", person=person)
    office.join("eve", org="third")
    session = office.token("bob", kind="session")

    listed = office.call(operations.LIST_ORGANISATIONS, bob)[1]["organisations"]
    login = office.call(operations.SWITCH_ORGANISATION, session, org="other")[1]

    assert [(o["name"], o["user"], o["current"]) for o in listed] == [
        (ORG, "bob", True),
        ("other", "robert", False),
    ]
    assert (login["org"], login["user"], login["role"]) == ("other", "robert", "viewer")
    assert office.call(LIST, session)[0] == 401
    assert office.call(operations.SWITCH_ORGANISATION, bob, org="third")[0] == 404


def test_member_with_all_their_permissions_switches_to_another_organisation(
    office: Office,
) -> None:
    person = VerifiedPerson("https://issuer", "p", "bob@x.y", 0.0)
    for org in (ORG, "other"):
        office.join("bob", Role.OWNER, org=org, person=person)
    root = membership_digest(ORG, "bob")
    office.world.tokens.put(
        digest_of("small"), Identity(ORG, "bob", frozenset({"read"})), expires=None, parent=root
    )

    tried = [
        office.call(operations.SWITCH_ORGANISATION, token, org=org)[0]
        for token, org in (
            (office.token("bob"), ORG),
            (office.token("bob", kind="session"), ORG),
            ("small", "other"),
            (office.token("bob"), "other"),
        )
    ]

    assert tried == [409, 409, 409, 200]


def test_owner_creates_an_organisation_of_a_new_name(office: Office) -> None:
    owner = office.join("ann", Role.OWNER)
    office.join("eve", org="other")
    office.world.tokens.put("minted", Identity("minted", "x", INHERITED), expires=None)

    made = office.call(operations.CREATE_ORGANISATION, owner, {"name": "team-b"})
    taken = [
        office.call(operations.CREATE_ORGANISATION, owner, {"name": name})[0]
        for name in ("team-b", "other", "minted", ORG)
    ]

    assert (made[0], made[1]["org"], made[1]["role"]) == (200, "team-b", "owner")
    assert office.call(operations.LIST_MEMBERS, made[1]["token"])[0] == 200
    assert taken == [409] * 4


def test_name_of_a_deleted_organisation_stays_taken(office: Office) -> None:
    owner, other = office.join("ann", Role.OWNER), office.join("eve", Role.OWNER, org="other")
    assert office.call(operations.DELETE_ORGANISATION, owner, org=ORG, confirm=ORG)[0] == 200

    status, problem = office.call(operations.CREATE_ORGANISATION, other, {"name": ORG})

    assert (status, "existed" in problem["detail"]) == (409, True)


def test_person_owns_few_organisations_without_a_subscription() -> None:
    office = Office(billing=object())
    person = VerifiedPerson("https://issuer", "p", "ann@x.y", 0.0)
    ann, bob = office.join("ann", Role.OWNER, person=person), office.join("bob", Role.OWNER)
    create = lambda token, name: office.call(  # noqa: E731
        operations.CREATE_ORGANISATION, token, {"name": name}
    )[0]

    statuses = [create(ann, name) for name in ("b", "c", "d")]
    office.world.orgs.set_billing("b", Billing(status=Status.ACTIVE), 0.0, fetched=1.0)

    assert statuses == [200, 200, 409]
    assert create(ann, "d") == 200
    assert create(bob, "e") == 409


def test_organisation_is_deleted_after_its_pipelines_ended(tmp_path: Path) -> None:
    office = Office(folder=tmp_path)
    owner, bob = office.join("ann", Role.OWNER), office.join("bob")
    office.call(PUT_SECRETS, bob, {"secrets": [{"key": "K", "value": "v"}]})
    request = {"provider": "github", "repository": "https://github.com/a/b", "token": "t"}
    office.call(PUT_TRIGGER, owner, request, name="app")
    pipeline = office.world.launch(serial(leaf("a")))
    nightly = {"cron": "0 0 * * *", "what": {"kind": "template", "pipeline": pipeline}}
    assert office.call(CREATE_SCHEDULE, owner, {"name": "nightly", **nightly})[0] == 200
    delete = lambda confirm=ORG: office.call(  # noqa: E731
        operations.DELETE_ORGANISATION, owner, org=ORG, confirm=confirm
    )
    kept = [_outcome_in_cache(office, org, tmp_path) for org in (ORG, "other")]

    running = delete()
    office.world.serve()
    office.world.run_out(lambda _path: Cause.EXIT_CODE)  # the worker stays for a minute
    for hand in office.world.living():
        hand.leave()
    unconfirmed, stopping = delete("other"), delete()
    for hand in office.world.living():
        hand.leave()
    office.world.minute()
    done = delete()

    assert (running[0], pipeline in running[1]["detail"]) == (409, True)
    assert (unconfirmed[0], stopping[0]) == (409, 202)
    assert (done[0], done[1]["pipelines"]) == (200, 1)
    assert office.call(LIST, owner)[0] == 401
    assert office.call(LIST, bob)[0] == 401
    assert office.world.vault.read("user/acme/bob") == {}
    assert office.world.vault.read("trigger/acme/app") == {}
    assert office.world.cloud.records.triggers.list_by_name(ORG) == []
    assert office.world.schedules.list_by_name(ORG) == []
    assert office.world.store.record(ORG, pipeline) is None
    assert [each.exists() for each in kept] == [False, True]
    assert [len([*office.world.cache.entries(org)]) for org in (ORG, "other")] == [0, 1]


def _outcome_in_cache(office: Office, org: str, folder: Path) -> Path:
    """Store an outcome with a content; return the path of the content."""
    source = {"pipeline": "abc-def", "path": "/a", "attempt": 1}
    entry = CacheEntry.model_validate({"key": "aa", "fields": {}, "source": source, "made": 1.0})
    office.world.cache.put(org, entry, b"")
    content = folder / contents_directory(org).lstrip("/") / "ab" / "abcd"
    content.parent.mkdir(parents=True)
    content.write_text("x")
    return content


def test_organisation_with_a_subscription_is_not_deleted(office: Office) -> None:
    owner = office.join("ann", Role.OWNER)
    office.world.orgs.set_billing(ORG, Billing(status=Status.ACTIVE), 0.0, fetched=1.0)

    status, problem = office.call(operations.DELETE_ORGANISATION, owner, org=ORG, confirm=ORG)

    assert (status, "subscription" in problem["detail"]) == (409, True)


def test_personal_data_is_exported_and_erased(tmp_path: Path) -> None:
    office = Office(folder=tmp_path)
    owner, bob = office.join("ann", Role.OWNER), office.join("bob")
    office.call(PUT_SECRETS, bob, {"secrets": [{"key": "K", "value": "hidden"}]})

    exported = office.call(operations.EXPORT_MEMBER, owner, user="bob")[1]
    early = office.call(operations.ERASE_MEMBER, owner, user="bob")
    office.call(operations.REMOVE_MEMBER, owner, user="bob")
    erased = office.call(operations.ERASE_MEMBER, owner, user="bob")[1]
    after = office.call(operations.EXPORT_MEMBER, owner, user="bob")

    assert (exported["member"]["user"], exported["secrets"]) == ("bob", ["K"])
    assert [e["operation"] for e in exported["audit"]] == ["put_secrets"]
    assert "hidden" not in json.dumps(exported)
    assert early[0] == 409
    assert (erased["secrets"], erased["audit"] > 0) == (1, True)
    users = {e["user"] for e in office.call(operations.LIST_AUDIT, owner)[1]["entries"]}
    assert users == {"ann", erased["replacement"]}
    assert after[0] == 404


def test_personal_data_is_exported_in_parts(tmp_path: Path) -> None:
    office = Office(folder=tmp_path)
    owner, bob = office.join("ann", Role.OWNER), office.join("bob")
    folder = office.world.cloud.storage.data._path(user_directory("acme", "bob"))  # type: ignore[attr-defined]
    names = [f"{part}/{n:03}" for part in ("a", "a/b", "a.b", "c/d/e") for n in range(300)]
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    tree = {"tree": form(serial("x")), "run": False}
    launched = [office.call(LAUNCH, bob, tree)[1]["pipeline"]["id"] for _ in range(2)]

    parts = [office.call(operations.EXPORT_MEMBER, owner, user="bob")[1]]
    while parts[-1]["next"]:
        query = {"user": "bob", "after": parts[-1]["next"]}
        parts.append(office.call(operations.EXPORT_MEMBER, owner, **query)[1])

    assert len(parts) == 2
    assert [bool(part["member"]) for part in parts] == [True, False]
    files = [file for part in parts for file in part["files"]]
    assert sorted(files) == sorted(names)
    assert sorted(id_ for part in parts for id_ in part["pipelines"]) == sorted(launched)
    wrong = office.call(operations.EXPORT_MEMBER, owner, user="bob", after="audit#x")
    assert wrong[0] == 422


class SlowAudit(TableAuditLog):
    """An audit log whose first change of names takes minutes."""

    office: Office
    slow = True

    def rename(
        self, org: str, user: str, replacement: str, check: Callable[[], None] = lambda: None
    ) -> int:
        if self.slow:
            self.office.world.now += 600
        self.slow = False
        return super().rename(org, user, replacement, check)


def test_interrupted_erasure_continues_with_the_same_name(tmp_path: Path) -> None:
    office = Office(folder=tmp_path)
    audit = SlowAudit(office.world.table, lambda: office.world.now)
    audit.office = office
    office.world.use(audit=audit)
    office.api = office.world.services.api(lambda _caller: MemoryResponses())
    owner, bob = office.join("ann", Role.OWNER), office.join("bob")
    office.call(operations.LEAVE, bob)
    other = Office(folder=tmp_path)
    other.call(operations.LEAVE, other.join("bob"))
    elsewhere = other.call(operations.ERASE_MEMBER, other.join("ann", Role.OWNER), user="bob")[1]

    stopped = office.call(operations.ERASE_MEMBER, owner, user="bob")
    erased = office.call(operations.ERASE_MEMBER, owner, user="bob")

    assert (stopped[0], erased[0]) == (202, 200)
    assert erased[1]["replacement"] == elsewhere["replacement"]
    assert audit.page(ORG, AuditParams(user="bob")).entries == ()


# ---- over AWS's own services ------------------------------------------------------------------


def test_invitation_becomes_a_member_through_the_app(front: Front) -> None:
    owner = front.token()

    made = front.call("POST", "/invitations", owner, {"email": "bob@x.y", "role": "admin"})[1]
    login = front.call("POST", "/invitations/accept", made["code"], {})[1]
    again = front.call("POST", "/invitations/accept", made["code"], {})
    members = front.call("GET", "/members", login["token"])[1]["members"]
    audit = front.call("GET", "/audit", login["token"])[1]["entries"]

    assert (login["user"], again[0]) == ("bob", 410)
    assert [(m["user"], m["role"]) for m in members] == [("bob", "admin")]
    assert [e["operation"] for e in audit][-2:] == ["accept_invitation", "create_invitation"]


def test_name_with_a_plan_or_a_subscription_is_not_created(front: Front) -> None:
    cloud, (token, digest) = front.app.cloud, new_token()
    cloud.records.people.join("acme", Member(user="ann", role=Role.OWNER, joined=1.0))
    root = membership_digest("acme", "ann")
    cloud.records.tokens.put(digest, Identity("acme", "ann", INHERITED), expires=None, parent=root)
    cloud.records.orgs.set_plan("planned", cloud.records.orgs.plan("acme"))

    assert front.call("POST", "/orgs", token, {"name": "planned"})[0] == 409
    assert front.call("POST", "/orgs", token, {"name": "unplanned"})[0] == 200


@pytest.mark.parametrize(("own", "expected"), [(None, 5.0), (9.0, 9.0)])
def test_budget_of_a_token_is_that_of_pipelines_without_one(
    office: Office, own: float | None, expected: float
) -> None:
    bob = office.join("bob")
    asked = {"name": "ci", "permissions": ["read", "launch"], "days": 1, "budget": 5}
    made = office.call(operations.CREATE_TOKEN, bob, asked)[1]
    assert made["info"]["budget"] == 5.0

    tree = {"tree": form(serial(leaf("a"), budget=own))}
    launched = office.call(LAUNCH, made["token"], tree)[1]["pipeline"]["id"]

    with office.world.engine.reading(ORG, launched) as live:
        assert live.pipeline.root.budget == expected
