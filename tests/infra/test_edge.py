"""CloudFront's own functions change requests, and the emulator's do the same."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from itertools import product
from typing import Any

import pytest
from infra.stacks.site import EDGE

from chalicelib.people.sign_in_handlers import SESSION_SECONDS
from conducto_emulator.gateway.cloudfront import COOKIE, SECONDS, of_page, of_session

TOKEN = "cdo_" + "t" * 43
HOST = "d1.cloudfront.net"
OURS = {"origin": f"https://{HOST}", "x-conducto": "1", "sec-fetch-site": "same-origin"}
#: A foreign page, and no page.
ORIGINS = (f"https://{HOST}", "https://evil.invalid", f"http://{HOST}", None)


def seen(
    method: str = "GET",
    uri: str = "/api/v1/pipelines",
    *,
    cookies: dict[str, str] | None = None,
    **headers: str | None,
) -> dict[str, Any]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "method": method,
        "uri": uri,
        "headers": {
            name: {"value": value}
            for name, value in {"host": HOST, **given}.items()
            if value is not None
        },
        "cookies": {name: {"value": value} for name, value in (cookies or {}).items()},
    }


def answered(request: dict[str, Any]) -> dict[str, Any]:
    return of_session(copy.deepcopy(request))


def token_in(request: dict[str, Any]) -> str | None:
    header = request["headers"].get("authorization")
    return None if header is None else str(header["value"])


WITH_COOKIE = {"cookies": {COOKIE: TOKEN, "other": "kept"}}
REQUESTS = [
    seen(method, uri, **({"cookies": WITH_COOKIE["cookies"]} if cookie else {}), **headers)
    for method, uri, cookie, headers in product(
        ("GET", "HEAD", "POST", "DELETE", "PUT"),
        ("/api/v1/pipelines", "/socket", "/session"),
        (True, False),
        (
            {"origin": origin, "sec_fetch_site": site, "x_conducto": script, "authorization": auth}
            for origin, site, script, auth in product(
                ORIGINS,
                ("same-origin", "none", "cross-site", "same-site", None),
                ("1", None),
                (f"Bearer {TOKEN}", "Basic eDp5", "Bearer a;b" + "c" * 30, None),
            )
        ),
    )
]


@pytest.mark.skipif(shutil.which("node") is None, reason="CloudFront's functions are JavaScript")
@pytest.mark.parametrize("name", ["sessions", "pages"])
def test_cloudfront_and_the_emulator_give_equal_responses(name: str) -> None:
    paths = ("/", "/p/abc", "/p/a.b", "/assets/x.js", "/icon.svg", "/data", "/assets", "/a/b.c")
    requests = REQUESTS if name == "sessions" else [seen(uri=path) for path in paths]
    code = (EDGE / f"{name}.js").read_text()
    run = (
        f"{code}\nconst all = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "process.stdout.write(JSON.stringify(all.map(request => handler({request}))));"
    )
    printed = subprocess.run(
        ["node", "-e", run],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    if name == "sessions":
        expected = [answered(request) for request in requests]
    else:
        expected = [{**request, "uri": of_page(request["uri"])} for request in requests]
    assert json.loads(printed) == expected


def test_cloudfront_takes_the_functions() -> None:
    for file in EDGE.glob("*.js"):
        assert len(file.read_bytes()) < 10_240, file


def test_own_page_is_recognised_by_its_cookie() -> None:
    for request in (
        seen(**WITH_COOKIE, **{"sec-fetch-site": "same-origin"}),
        seen(**WITH_COOKIE),  # a link that the person opened
        seen("POST", **WITH_COOKIE, **OURS),
        seen("GET", "/socket", **WITH_COOKIE, **OURS),
    ):
        assert token_in(answered(request)) == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "https://evil.invalid"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"x-conducto": None},
        {"origin": None},
    ],
)
def test_foreign_page_changes_nothing(wrong: dict[str, str | None]) -> None:
    assert token_in(answered(seen("POST", **WITH_COOKIE, **{**OURS, **wrong}))) is None


def test_foreign_page_follows_nothing() -> None:
    for origin in ("https://evil.invalid", None):
        request = seen("GET", "/socket", **WITH_COOKIE, **{**OURS, "origin": origin})
        assert token_in(answered(request)) is None


def test_explicit_token_overrides_the_cookie() -> None:
    request = answered(seen(**WITH_COOKIE, authorization="Bearer mine"))

    assert token_in(request) == "Bearer mine"
    assert request["cookies"] == {"other": {"value": "kept"}}


def test_a_session_begins_with_a_token_and_no_script_can_read_it() -> None:
    response = answered(seen("POST", "/session", **OURS, authorization=f"Bearer {TOKEN}"))

    cookie = response["cookies"][COOKIE]
    assert (response["statusCode"], cookie["value"]) == (204, TOKEN)
    assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} <= set(
        cookie["attributes"].split("; ")
    )
    assert f"Max-Age={SECONDS}" in cookie["attributes"]
    assert SECONDS == SESSION_SECONDS


def test_a_page_learns_whether_there_is_a_session_and_no_more() -> None:
    some, none = answered(seen("GET", "/session", **WITH_COOKIE)), answered(seen("GET", "/session"))

    assert (some["statusCode"], none["statusCode"]) == (204, 200)
    assert TOKEN not in json.dumps(some)


def test_a_session_ends_with_an_empty_cookie() -> None:
    response = answered(seen("DELETE", "/session", **OURS, **WITH_COOKIE))

    assert response["cookies"][COOKIE]["value"] == ""
    assert response["cookies"][COOKIE]["attributes"].endswith("Max-Age=0")


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer short", f"Bearer {TOKEN}; Path=/", TOKEN])
def test_session_requires_a_token(token: str) -> None:
    response = answered(seen("POST", "/session", **OURS, authorization=token))

    assert response["statusCode"] == 400
    assert "cookies" not in response


def test_a_page_of_others_begins_and_ends_no_session() -> None:
    for method, origin in product(("POST", "DELETE"), ("https://evil.invalid", None)):
        request = seen(
            method, "/session", **{**OURS, "origin": origin}, authorization=f"Bearer {TOKEN}"
        )
        assert answered(request)["statusCode"] == 403
