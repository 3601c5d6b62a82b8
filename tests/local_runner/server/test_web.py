"""Browsers and the local server: files, sessions, and attempts to bypass the latter."""

import gzip
import http.client
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.fakes.pipelines import MemoryPipelines
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from conducto_client import Client, HttpTransport
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.responses import Login
from conducto_core.run.model.states import NodeType, State
from conducto_local.server.auth import (
    CODE_SECONDS,
    FORM,
    MAX_WRONG_CODES,
    SESSION_SECONDS,
    Sessions,
    WrongCodesError,
)
from support.api_server import TOKEN, RunningServer, running_server

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
AUTHORIZED_JSON = {**AUTHORIZED, "Content-Type": "application/json"}
SECRET = "not for the web"
LARGE = "const page = 1;\n" * 2000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    root = tmp_path / "web"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<title>Conducto</title>")
    (root / "assets" / "app-1a2b.js").write_text("0")
    (root / "assets" / "large-3c4d.js").write_text(LARGE)
    (tmp_path / "secret.txt").write_text(SECRET)
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    pipelines = MemoryPipelines()
    pipelines.add("p", [NodeView(path="/", type=NodeType.EXEC, state=State.PENDING)])
    with running_server(pipelines, web_root=root) as running:
        yield running


def ask(
    server: RunningServer,
    target: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


def login(server: RunningServer) -> Login:
    with Client(HttpTransport(server.endpoint)) as client:
        return client.login()


def post_form(
    server: RunningServer, fields: Mapping[str, str], **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Post what a file of the owner's does, from where browsers say that a file is."""
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "null", **headers}
    return ask(server, "/session", sent, "POST", urlencode(fields).encode())


def form_of(login: Login, page: str = "/") -> dict[str, str]:
    assert login.form is not None
    return {"secret": login.form.secret, "nonce": login.form.nonce, "page": page}


def cookie_of(headers: Mapping[str, str]) -> dict[str, str]:
    return {"Cookie": headers["set-cookie"].partition(";")[0]}


@pytest.fixture
def session(server: RunningServer) -> dict[str, str]:
    """The cookie of a session, as a browser sends it."""
    return cookie_of(post_form(server, form_of(login(server)))[1])


def ours(server: RunningServer) -> dict[str, str]:
    """Return the headers that our own page sends with every change."""
    return {"Origin": server.endpoint.url, "X-Conducto": "1", "Content-Type": "application/json"}


# ---- files ------------------------------------------------------------------------------------


def test_the_app_is_served_without_a_token_and_under_a_strict_policy(
    server: RunningServer,
) -> None:
    status, headers, body = ask(server, "/")

    assert (status, body) == (200, b"<title>Conducto</title>")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/pipelines/abc", "/pipelines/abc/build.py"])
def test_a_path_of_the_app_is_answered_with_the_app(server: RunningServer, path: str) -> None:
    status, _, body = ask(server, path)

    assert (status, body) == (200, b"<title>Conducto</title>")


def test_built_files_may_be_kept_and_the_page_may_not(server: RunningServer) -> None:
    _, page, _ = ask(server, "/")
    status, asset, _ = ask(server, "/assets/app-1a2b.js")

    assert status == 200
    assert asset["content-type"].startswith("text/javascript")
    assert "immutable" in asset["cache-control"]
    assert page["cache-control"] == "no-cache"


def test_large_files_are_compressed_for_browsers_that_accept_it(server: RunningServer) -> None:
    target = "/assets/large-3c4d.js"
    _, plain, body = ask(server, target)
    _, packed, less = ask(server, target, {"Accept-Encoding": "gzip, br"})

    assert body.decode() == gzip.decompress(less).decode() == LARGE
    assert "content-encoding" not in plain
    assert packed["content-encoding"] == "gzip"
    assert packed["content-type"] == plain["content-type"]
    assert packed["cache-control"] == plain["cache-control"]
    assert packed["content-security-policy"] == plain["content-security-policy"]
    assert packed["vary"] == plain["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/link.txt",
        "/assets/%00",
        "/assets/" + "a" * 5000,
        "/..\\secret.txt",
        "/%0a",
    ],
)
def test_nothing_outside_of_the_app_is_served(server: RunningServer, path: str) -> None:
    _, _, body = ask(server, path)

    assert SECRET.encode() not in body
    assert b"root:" not in body


def test_without_the_app_the_page_says_how_to_build_it(tmp_path: Path) -> None:
    with running_server(MemoryPipelines(), web_root=tmp_path / "nothing") as server:
        status, _, body = ask(server, "/")

    assert status == 200
    assert b"make web" in body


def test_files_can_only_be_read(server: RunningServer) -> None:
    status, headers, _ = ask(server, "/", AUTHORIZED, "POST", b"")

    assert status == 405
    assert headers["allow"] == "GET"


# ---- sessions ---------------------------------------------------------------------------------


def test_posted_form_opens_a_session(server: RunningServer) -> None:
    made = login(server)

    status, headers, _ = post_form(server, form_of(made, "/p/abc-def"))

    assert (status, headers["location"]) == (303, "/p/abc-def")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert made.url == f"{server.endpoint.url}/"
    secrets = (made.code, form_of(made)["secret"], form_of(made)["nonce"])
    assert not [each for each in secrets if each in cookie + repr(made)]


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("//elsewhere.test/x", "/elsewhere.test/x"),
        ("https://elsewhere.test", "/https%3A//elsewhere.test"),
        ("/\\elsewhere.test", "/%5Celsewhere.test"),
        ("/p/é", "/p/%C3%A9"),
    ],
)
def test_form_leads_to_pages_of_this_server_only(
    server: RunningServer, path: str, page: str
) -> None:
    status, headers, _ = post_form(server, form_of(login(server), path))

    assert (status, headers["location"]) == (303, page)


def test_login_is_good_once_in_either_way(server: RunningServer) -> None:
    made = login(server)
    post_form(server, form_of(made))

    again = post_form(server, form_of(made))
    typed = ask(server, "/session", {}, "POST", json.dumps({"code": made.code}).encode())

    assert (again[0], "set-cookie" in again[1]) == (303, False)
    assert (typed[0], "set-cookie" in typed[1]) == (401, False)


def test_form_without_its_nonce_opens_nothing(server: RunningServer) -> None:
    made, other = form_of(login(server)), form_of(login(server))
    for changes in ({"nonce": other["nonce"]}, {"nonce": ""}, {"secret": "x"}):
        status, headers, _ = post_form(server, {**made, **changes})
        assert (status, "set-cookie" in headers) == (303, False)
    code = {"code": login(server).code, "page": "/"}
    assert "set-cookie" not in post_form(server, code)[1]


def test_form_secret_is_not_a_code(server: RunningServer) -> None:
    form = form_of(login(server))
    for field in ("secret", "nonce"):
        body = json.dumps({"code": form[field]}).encode()
        assert ask(server, "/session", {}, "POST", body)[0] == 401


def test_addresses_carry_no_code(server: RunningServer) -> None:
    code = login(server).code

    status, headers, _ = ask(server, f"/?code={code}")

    assert (status, "set-cookie" in headers) == (200, False)


def test_only_forms_may_come_from_a_file(server: RunningServer) -> None:
    body = json.dumps({"code": login(server).code}).encode()
    for target, kind in (("/session", "application/json"), ("/", FORM), ("/api/v1/agent", FORM)):
        sent = {**AUTHORIZED, "Origin": "null", "Content-Type": kind}
        assert ask(server, target, sent, "POST", body)[0] == 403
    evil = {"Origin": "https://evil.example"}
    assert post_form(server, form_of(login(server)), **evil)[0] == 403


def test_only_the_owner_makes_an_address(server: RunningServer) -> None:
    status, _, _ = ask(server, "/api/v1/agent/login", method="POST")

    assert status == 401


def test_the_token_itself_opens_a_session(server: RunningServer) -> None:
    status, headers, _ = ask(server, "/session", AUTHORIZED, "POST", b"")

    assert status == 204
    assert ask(server, "/api/v1/pipelines", cookie_of(headers))[0] == 200


def test_a_code_in_a_body_opens_a_session(server: RunningServer) -> None:
    code = login(server).code.upper().replace("-", " ")

    status, headers, _ = ask(server, "/session", {}, "POST", json.dumps({"code": code}).encode())

    assert status == 204
    assert ask(server, "/api/v1/pipelines", cookie_of(headers))[0] == 200


@pytest.mark.parametrize("body", [b"", b"{}", b'{"code": "x"}', b'{"code": 7}', b"[", b"x" * 9999])
def test_without_a_good_code_there_is_no_session(server: RunningServer, body: bytes) -> None:
    status, headers, _ = ask(server, "/session", {}, "POST", body)

    assert status == 401
    assert "set-cookie" not in headers


def test_a_session_ends(server: RunningServer, session: dict[str, str]) -> None:
    other = cookie_of(post_form(server, form_of(login(server)))[1])
    before = ask(server, "/api/v1/pipelines", session)[0]
    evil = ask(server, "/session", session, "DELETE")[0]
    kept = ask(server, "/api/v1/pipelines", session)[0]

    status, headers, _ = ask(server, "/session", {**session, **ours(server)}, "DELETE")

    assert (before, evil, kept, status) == (200, 204, 200, 204)
    assert "Max-Age=0" in headers["set-cookie"]
    assert ask(server, "/api/v1/pipelines", session)[0] == 401
    assert ask(server, "/api/v1/pipelines", other)[0] == 200


def test_sessions_make_no_logins(server: RunningServer, session: dict[str, str]) -> None:
    sent = {**session, **ours(server)}

    status, _, body = ask(server, "/api/v1/agent/login", sent, "POST", b"")

    assert (status, b"conducto show --app" in body) == (403, True)


def test_streams_of_a_session_end_with_it(server: RunningServer, session: dict[str, str]) -> None:
    url = f"ws://127.0.0.1:{server.port}/api/v1/pipelines/p/events"
    other = {**cookie_of(post_form(server, form_of(login(server)))[1]), **ours(server)}
    with (
        connect(url, additional_headers={**session, **ours(server)}, proxy=None) as ended,
        connect(url, additional_headers=other, proxy=None) as kept,
    ):
        ask(server, "/session", {**session, **ours(server)}, "DELETE")
        with pytest.raises(ConnectionClosed) as closed:
            ended.recv(timeout=30)
        ask(server, "/api/v1/pipelines/p/control", AUTHORIZED_JSON, "POST", b'{"action": "run"}')
        assert kept.recv(timeout=30)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "the session has ended")


def test_session_reads_and_writes_from_our_own_page(
    server: RunningServer, session: dict[str, str]
) -> None:
    order = b'{"action": "run"}'
    target = "/api/v1/pipelines/p/control"

    read, _, _ = ask(server, "/api/v1/pipelines", {**session, "Sec-Fetch-Site": "same-origin"})
    changed, _, _ = ask(server, target, {**session, **ours(server)}, "POST", order)

    assert (read, changed) == (200, 200)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "{ours}"},
        {"X-Conducto": "1"},
        {"Origin": "{ours}", "X-Conducto": "1", "Sec-Fetch-Site": "same-site"},
        {"Origin": "{ours}", "X-Conducto": "1", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1", "X-Conducto": "1"},
        {"Origin": "null", "X-Conducto": "1"},
    ],
    ids=str,
)
def test_a_cookie_alone_changes_nothing(
    server: RunningServer, session: dict[str, str], headers: dict[str, str]
) -> None:
    sent = {name: value.format(ours=server.endpoint.url) for name, value in headers.items()}
    sent |= {**session, "Content-Type": "application/json"}

    status, _, _ = ask(server, "/api/v1/pipelines/p/control", sent, "POST", b'{"action": "run"}')

    assert status in (401, 403)


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_a_page_of_another_port_reads_nothing_with_our_cookie(
    server: RunningServer, session: dict[str, str], site: str
) -> None:
    status, headers, _ = ask(server, "/api/v1/pipelines", {**session, "Sec-Fetch-Site": site})

    assert status == 401
    assert not any(name.lower().startswith("access-control") for name in headers)


def test_a_preflight_of_another_origin_is_refused(server: RunningServer) -> None:
    asked = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-conducto",
    }

    status, headers, _ = ask(server, "/api/v1/pipelines", asked, "OPTIONS")

    assert status == 403
    assert not any(name.lower().startswith("access-control") for name in headers)


def test_session_opens_a_stream_for_our_own_pages_only(
    server: RunningServer, session: dict[str, str]
) -> None:
    url = f"ws://127.0.0.1:{server.port}/api/v1/pipelines/p/events"

    with connect(
        url, additional_headers={**session, "Origin": server.endpoint.url}, proxy=None
    ) as websocket:
        assert websocket.response is not None
    for origin in ({}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "http://evil.example"}):
        with pytest.raises(InvalidStatus) as caught:
            connect(url, additional_headers={**session, **origin}, proxy=None)
        assert caught.value.response.status_code in (401, 403)


def test_a_stream_outside_of_the_api_is_refused(server: RunningServer) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(f"ws://127.0.0.1:{server.port}/", additional_headers=AUTHORIZED, proxy=None)

    assert caught.value.response.status_code == 404


@pytest.mark.parametrize("host", ["evil.example:{port}", "evil.example", "127.0.0.1"])
def test_rebound_host_name_reads_nothing(server: RunningServer, host: str) -> None:
    """DNS rebinding: the page's own name leads here, so its requests are of its own origin."""
    sent = {"Host": host.format(port=server.port)}

    for target in ("/", "/api/v1/pipelines", "/assets/app-1a2b.js"):
        status, _, _ = ask(server, target, sent)
        assert status == 421


@pytest.mark.parametrize(
    "target",
    [
        "/%61pi/v1/pipelines",
        "/api%2fv1/pipelines",
        "//api/v1/pipelines",
        "/api/../api/v1/pipelines",
    ],
)
def test_other_spellings_of_a_path_bypass_no_rule(server: RunningServer, target: str) -> None:
    _, _, body = ask(server, target)

    assert b'"pipelines"' not in body


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_code_is_good_for_a_minute(clock: Clock) -> None:
    sessions = Sessions("t", 1, clock)
    early, late, form = (sessions.new_login() for _ in range(3))

    clock.now += CODE_SECONDS - 1
    assert sessions.use_code(early.code)
    clock.now += 1
    assert not sessions.use_code(late.code)
    assert not sessions.use_form(form.form)


def test_a_session_outlives_the_server_but_not_its_time_or_its_token(
    clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "sessions.json"
    value = Sessions("t", 1, clock, file).new_session()

    assert Sessions("t", 1, clock, file).is_session(value)
    assert not Sessions("other", 1, clock, file).is_session(value)
    assert value.partition(".")[0] not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    clock.now += SESSION_SECONDS
    assert not Sessions("t", 1, clock, file).is_session(value)


def test_an_ended_session_stays_ended(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "sessions.json"
    sessions = Sessions("t", 1, clock, file)
    ended, kept = sessions.new_session(), sessions.new_session()

    sessions.end_session(ended)

    for each in (sessions, Sessions("t", 1, clock, file)):
        assert (each.is_session(ended), each.is_session(kept)) == (False, True)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": "b"}', b"\xff", None])
def test_sessions_of_a_damaged_list_have_ended(
    clock: Clock, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "sessions.json"
    value = Sessions("t", 1, clock, file).new_session()
    file.unlink() if content is None else file.write_bytes(content)

    sessions = Sessions("t", 1, clock, file)

    assert not sessions.is_session(value)
    assert sessions.is_session(sessions.new_session())


@pytest.mark.parametrize("change", ["", "x", ".", "..", "a.b", "é.9999999999.0"])
def test_invented_cookie_has_no_session(clock: Clock, change: str) -> None:
    assert not Sessions("t", 1, clock).is_session(change)


def test_a_session_cannot_be_made_longer(clock: Clock) -> None:
    sessions = Sessions("t", 1, clock)
    nonce, until, signature = sessions.new_session().split(".")

    assert not sessions.is_session(f"{nonce}.{int(until) + 1}.{signature}")


def test_number_of_wrong_codes_in_a_minute_is_limited(clock: Clock) -> None:
    sessions = Sessions("t", 1, clock)
    for _ in range(MAX_WRONG_CODES):
        assert not sessions.use_code("wrong")
        clock.now += 1
    login = sessions.new_login()

    with pytest.raises(WrongCodesError) as caught:
        sessions.use_code(login.code)
    assert caught.value.seconds == CODE_SECONDS - MAX_WRONG_CODES
    clock.now += caught.value.seconds
    assert sessions.use_code(login.code)
    assert not sessions.use_code("wrong")
    with pytest.raises(WrongCodesError):
        sessions.use_code("wrong")


def test_forms_are_accepted_after_too_many_wrong_codes(clock: Clock) -> None:
    sessions = Sessions("t", 1, clock)
    for _ in range(MAX_WRONG_CODES):
        assert not sessions.use_code("wrong")

    assert sessions.use_form(sessions.new_login().form)


def test_too_many_wrong_codes_are_refused_with_the_time_to_wait(server: RunningServer) -> None:
    body = json.dumps({"code": "wrong"}).encode()
    sent = {"Content-Type": "application/json"}
    answers = [ask(server, "/session", sent, "POST", body)[:2] for _ in range(MAX_WRONG_CODES + 1)]

    statuses = [(status, "retry-after" in headers) for status, headers in answers]
    assert statuses == [(401, False)] * MAX_WRONG_CODES + [(429, True)]
    assert ask(server, "/session", AUTHORIZED, "POST")[0] == 204


def test_number_of_waiting_codes_is_limited(clock: Clock) -> None:
    sessions = Sessions("t", 1, clock)
    first = sessions.new_login()
    for _ in range(100):
        last = sessions.new_login()

    assert not sessions.use_code(first.code)
    assert sessions.use_code(last.code)
