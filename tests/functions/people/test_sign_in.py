"""Sign-in of a browser in the cloud: by a code that is valid once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloud.memory import MemoryClients

from chalicelib.people.sign_in import MAX_CODES
from chalicelib.people.sign_in_handlers import CODE_SECONDS, SESSION_SECONDS, BrowserLogin
from chalicelib.people.store.members import TableTokens
from chalicelib.people.tokens import digest_of
from conducto_core.api.cloud_operations import CLOUD_OPERATIONS
from conducto_core.api.problems import ProblemError
from conducto_core.errors import RefusedError
from support.cloud.world import ME

if TYPE_CHECKING:
    from tests.functions.conftest import Front

    from chalicelib.people.port import Identity

SITE = "https://web.invalid"


class Desk:
    """A sign-in with a person whose own token is known.

    Attributes:
        now: Seconds since the epoch.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.tokens = TableTokens(MemoryClients().table, lambda: self.now)
        self.sign_in = BrowserLogin(self.tokens, lambda: SITE, lambda: self.now)
        self.tokens.put("own", ME, expires=None)

    def me(self) -> Identity:
        return self.known("own")

    def known(self, digest: str) -> Identity:
        found = self.tokens.find(digest)
        assert found is not None
        return found

    def code(self) -> Identity:
        made = self.sign_in.make_login(self.me())
        assert (made.url, made.form, made.code in repr(made)) == (f"{SITE}/", None, False)
        return self.known(digest_of(made.code))

    def session(self) -> Identity:
        return self.known(digest_of(self.sign_in.start(self.code()).token))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_login_code_permits_only_signing_in(desk: Desk) -> None:
    code = desk.code()

    assert code.permissions == {"sign_in"}
    assert (code.org, code.user) == (ME.org, ME.user)


def test_code_becomes_a_session_with_the_permissions_of_its_user(desk: Desk) -> None:
    session = desk.session()

    assert session == ME
    assert session.parent == "own"


def test_a_code_is_good_once(desk: Desk) -> None:
    code = desk.code()
    desk.sign_in.start(code)

    with pytest.raises(ProblemError) as refused:
        desk.sign_in.start(code)
    assert refused.value.problem.status == 401


def test_a_code_is_good_for_a_minute(desk: Desk) -> None:
    code = desk.code()

    desk.now += CODE_SECONDS

    assert desk.tokens.find(code.token) is None


def test_a_session_ends_by_itself_by_its_person_and_with_the_token_it_came_from(
    desk: Desk,
) -> None:
    ended, left, old = desk.session(), desk.session(), desk.session()

    assert desk.sign_in.end(ended).ended
    assert not desk.sign_in.end(ended).ended
    assert desk.tokens.find(ended.token) is None
    assert desk.tokens.find(left.token) == ME
    desk.tokens.revoke_once("own")
    assert desk.tokens.find(left.token) is None
    desk.tokens.put("own", ME, expires=None)
    desk.now += SESSION_SECONDS
    assert desk.tokens.find(old.token) is None


def test_explicit_token_is_not_ended_as_a_session(desk: Desk) -> None:
    assert not desk.sign_in.end(desk.me()).ended
    assert desk.tokens.find("own") == ME


def test_a_session_makes_no_other_one(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="session"):
        desk.sign_in.make_login(desk.session())


def test_code_used_within_its_minute_is_invalid_afterwards(desk: Desk) -> None:
    code = desk.code()
    desk.now += CODE_SECONDS

    with pytest.raises(ProblemError):
        desk.sign_in.start(code)


def test_number_of_codes_in_a_minute_is_limited_for_each_token(desk: Desk) -> None:
    desk.tokens.put("other", ME, expires=None)
    codes = [desk.code() for _ in range(MAX_CODES)]

    with pytest.raises(ProblemError, match="sign-in codes in a minute") as refused:
        desk.code()
    assert refused.value.problem.status == 429
    desk.sign_in.make_login(desk.known("other"))
    desk.sign_in.start(codes[-1])
    desk.now += 60
    desk.code()


def test_without_a_web_app_there_is_no_way_in(desk: Desk) -> None:
    nowhere = BrowserLogin(desk.tokens, lambda: "", lambda: desk.now)

    with pytest.raises(RefusedError, match="no web app"):
        nowhere.make_login(desk.me())


# ---- through the API --------------------------------------------------------------------------


def test_browser_signs_in_reads_and_signs_out(front: Front) -> None:
    reader = front.token(permissions=frozenset({"read"}))
    code = front.call("POST", "/agent/login", reader)[1]["code"]

    status, session = front.call("POST", "/sessions", code)
    again = front.call("POST", "/sessions", code)
    who = front.call("GET", "/whoami", session["token"])[1]
    ended = front.call("DELETE", "/sessions", session["token"])[1]
    after = front.call("GET", "/whoami", session["token"])

    assert status == 200
    assert (session["org"], session["user"]) == ("acme", "ann")
    assert again[0] in (401, 403)
    assert (who["user"], who["permissions"]) == ("ann", ["read"])
    assert ended == {"ended": True}
    assert after[0] in (401, 403)


def test_login_code_opens_only_a_session(front: Front) -> None:
    code = front.call("POST", "/agent/login", front.token())[1]["code"]
    for operation in CLOUD_OPERATIONS:
        if operation.name != "start_session":
            path = operation.path.replace("{id}", "abc")
            assert front.call(operation.method, path, code)[0] == 403, operation.name


def test_session_requires_a_code(front: Front) -> None:
    assert front.call("POST", "/sessions", front.token())[0] == 403
