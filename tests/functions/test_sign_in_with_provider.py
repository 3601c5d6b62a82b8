"""Sign-in with ID tokens, through the app: people, the command line, and CI runs."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.people.model import Member, Role
from support.id_tokens import PERSON, POOL, RUN, Provider, signed

if TYPE_CHECKING:
    from tests.functions.conftest import Front

VERIFIER = "v" * 48
#: By API Gateway or by the API: a code that was used is unknown.
REFUSED = (401, 403)
TRUST = {"repository": "123", "ref": "refs/heads/main"}


@pytest.fixture
def provider(front: Front) -> Provider:
    provider = Provider()
    provider.now = time.time()
    front.app.identity_provider = provider.tokens
    return provider


def id_token(provider: Provider, **change: Any) -> str:
    times = dict.fromkeys(("iat", "auth_time"), provider.now)
    return signed({**PERSON, **times, "exp": provider.now + 300, **change})


def run_token(provider: Provider, **change: Any) -> str:
    return signed({**RUN, "iat": provider.now, "exp": provider.now + 300, **change})


def member(front: Front, user: str, org: str = "acme", role: Role = Role.MEMBER) -> None:
    cloud = front.app.cloud
    person = front.app.identity_provider.person(id_token_of(front))
    cloud.records.people.join(org, Member(user=user, role=role, joined=1.0), person=person)


def id_token_of(front: Front) -> str:
    now = time.time()
    return signed({**PERSON, "iat": now, "auth_time": now, "exp": now + 300})


def whoami(front: Front, token: str) -> tuple[str, str]:
    status, who = front.call("GET", "/whoami", token)
    assert status == 200
    return who["org"], who["user"]


def test_member_gets_a_session_once_for_each_id_token(front: Front, provider: Provider) -> None:
    member(front, "ann")
    token = id_token(provider)

    status, session = front.call("POST", "/sessions", token)

    assert status == 200
    assert whoami(front, session["token"]) == ("acme", "ann")
    assert front.call("POST", "/sessions", token)[0] == 401


def test_id_token_gives_no_access_to_the_api(front: Front, provider: Provider) -> None:
    member(front, "ann", role=Role.OWNER)
    for method, path in (("GET", "/pipelines"), ("GET", "/whoami"), ("POST", "/uploads")):
        assert front.call(method, path, id_token(provider))[0] == 403


def test_stranger_with_an_account_gets_nothing(front: Front, provider: Provider) -> None:
    member(front, "ann")
    stranger = id_token(provider, sub="person-2")

    status, problem = front.call("POST", "/sessions", stranger)

    assert (status, problem["title"]) == (403, "not a member")
    assert "invitation" in problem["remedy"]


def test_person_of_two_organisations_chooses_one(front: Front, provider: Provider) -> None:
    member(front, "ann", "zoo")
    member(front, "ann.b", "acme")

    _, first = front.call("POST", "/sessions", id_token(provider))
    _, chosen = front.call("POST", "/sessions?org=zoo", id_token(provider, nonce="2"))
    status, _ = front.call("POST", "/sessions?org=other", id_token(provider, nonce="3"))

    assert first["orgs"] == ["acme", "zoo"]
    assert whoami(front, first["token"]) == ("acme", "ann.b")
    assert whoami(front, chosen["token"]) == ("zoo", "ann")
    assert status == 403


def test_command_line_gets_a_token_for_code_and_verifier(front: Front, provider: Provider) -> None:
    member(front, "ann")
    challenge = sha256(VERIFIER.encode()).hexdigest()

    _, login = front.call("POST", "/cli-logins", id_token(provider), {"challenge": challenge})
    status, issued = front.call("POST", "/cli-tokens", login["code"], {"verifier": VERIFIER})

    assert status == 200
    assert whoami(front, issued["token"]) == ("acme", "ann")
    again = front.call("POST", "/cli-tokens", login["code"], {"verifier": VERIFIER})
    assert again[0] in REFUSED


def test_stolen_code_is_void_without_its_verifier(front: Front, provider: Provider) -> None:
    member(front, "ann")
    challenge = sha256(VERIFIER.encode()).hexdigest()
    _, login = front.call("POST", "/cli-logins", id_token(provider), {"challenge": challenge})

    assert front.call("POST", "/cli-tokens", login["code"], {"verifier": "w" * 48})[0] == 401
    assert front.call("POST", "/cli-tokens", login["code"], {"verifier": VERIFIER})[0] in REFUSED


def test_code_of_the_command_line_starts_no_session_of_a_browser(
    front: Front, provider: Provider
) -> None:
    member(front, "ann")
    challenge = sha256(VERIFIER.encode()).hexdigest()
    _, login = front.call("POST", "/cli-logins", id_token(provider), {"challenge": challenge})

    assert front.call("POST", "/sessions", login["code"])[0] == 401


def test_code_of_a_browser_is_rejected_for_the_command_line(front: Front) -> None:
    front.app.cloud.records.people.join("acme", Member(user="ann", role=Role.MEMBER, joined=1.0))
    _, login = front.call("POST", "/agent/login", front.token())

    assert front.call("POST", "/cli-tokens", login["code"], {"verifier": VERIFIER})[0] == 401


def test_ci_run_gets_a_token_of_the_trust(front: Front, provider: Provider) -> None:
    admin = front.token()
    assert front.call("PUT", "/trusts/nightly", admin, TRUST)[0] == 200

    status, issued = front.call("POST", "/ci-tokens", run_token(provider), {"org": "acme"})

    assert status == 200
    assert whoami(front, issued["token"]) == ("acme", "ci@nightly")
    assert front.call("GET", "/pipelines", issued["token"])[0] == 200
    assert front.call("GET", "/secrets", issued["token"])[0] == 403
    assert front.call("GET", "/trusts", issued["token"])[0] == 403
    stored = front.app.records.tokens.find(sha256(issued["token"].encode()).hexdigest())
    assert stored is not None
    assert stored.kind == "token", "a run is a program: it decides no approvals"


@pytest.mark.parametrize(
    "change",
    [
        {"repository_id": "124"},
        {"ref": "refs/heads/feature"},
        {"ref": "refs/pull/1/merge", "event_name": "pull_request"},
    ],
)
def test_other_runs_get_no_token(front: Front, provider: Provider, change: Any) -> None:
    front.call("PUT", "/trusts/nightly", front.token(), TRUST)

    status, problem = front.call(
        "POST", "/ci-tokens", run_token(provider, **change), {"org": "acme"}
    )

    assert (status, problem["title"]) == (403, "not trusted")


def test_deleted_trust_revokes_its_tokens(front: Front, provider: Provider) -> None:
    admin = front.token()
    front.call("PUT", "/trusts/nightly", admin, TRUST)
    _, issued = front.call("POST", "/ci-tokens", run_token(provider), {"org": "acme"})

    assert front.call("DELETE", "/trusts/nightly", admin)[0] == 200

    assert front.app.records.tokens.find(sha256(issued["token"].encode()).hexdigest()) is None
    assert front.call("DELETE", "/trusts/nightly", admin)[0] == 404


def test_sign_ins_are_audited(front: Front, provider: Provider) -> None:
    member(front, "ann")
    admin = front.token()
    front.call("PUT", "/trusts/nightly", admin, TRUST)
    challenge = sha256(VERIFIER.encode()).hexdigest()

    front.call("POST", "/sessions", id_token(provider))
    front.call("POST", "/cli-logins", id_token(provider, nonce="2"), {"challenge": challenge})
    front.call("POST", "/ci-tokens", run_token(provider), {"org": "acme"})
    entries = front.call("GET", "/audit", admin)[1]["entries"]

    seen = [(one["operation"], one["user"], one["subject"]) for one in entries]
    assert seen == [
        ("exchange_ci_token", "ci@nightly", RUN["sub"]),
        ("start_cli_login", "ann", ""),
        ("start_session", "ann", ""),
        ("put_trust", "ann", "nightly"),
    ]


def test_trust_in_every_branch_is_refused(front: Front) -> None:
    status, problem = front.call("PUT", "/trusts/all", front.token(), {"repository": "123"})
    assert status == 422
    assert "can push a branch" in str(problem)


def test_trusts_of_other_organisations_are_not_seen(front: Front, provider: Provider) -> None:
    front.call("PUT", "/trusts/nightly", front.token("acme"), TRUST)

    assert front.call("GET", "/trusts", front.token("other"))[1]["trusts"] == []
    assert front.call("DELETE", "/trusts/nightly", front.token("other"))[0] == 404
    assert front.call("POST", "/ci-tokens", run_token(provider), {"org": "other"})[0] == 403


def test_identity_of_an_issuer_is_not_that_of_another(front: Front, provider: Provider) -> None:
    member(front, "ann")
    person = provider.tokens.person(id_token(provider))
    assert person.issuer == POOL
    other = type(person)("https://other.invalid", person.subject, person.email, person.expires)
    assert front.app.cloud.records.identities.memberships(other) == {}
