"""Requests to the emulator: which are signed with one of its keys, and what that allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug.test import Client

if TYPE_CHECKING:
    from collections.abc import Callable

from conducto_emulator.gateway.access import (
    AccessKey,
    AwsDoor,
    Keys,
    Names,
    SignatureError,
    SignedRequest,
    new_key,
)

OWN = new_key()
KEYS = Keys(OWN)
HOST = "172.17.0.1:5000"
BODY = b'{"activityArn": "arn:mine"}'
PAGE = "http://127.0.0.1:6000"


def as_sent(signed: AWSRequest) -> SignedRequest:
    headers = {name.lower(): str(value) for name, value in signed.headers.items()}
    return SignedRequest(signed.method, signed.url, {"host": HOST, **headers}, signed.data or b"")


def signed(
    key: AccessKey = OWN, body: bytes = BODY, path: str = "/", service: str = "states"
) -> SignedRequest:
    made = AWSRequest("POST", f"http://{HOST}{path}", data=body)
    made.headers["X-Amz-Target"] = "AWSStepFunctions.GetActivityTask"
    SigV4Auth(Credentials(key.id, key.secret), service, "us-east-1").add_auth(made)
    return as_sent(made)


def presigned(key: AccessKey = OWN) -> SignedRequest:
    made = AWSRequest("GET", f"http://{HOST}/bucket/a%20b?x-id=GetObject")
    credentials = Credentials(key.id, key.secret)
    S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=60).add_auth(made)
    return as_sent(made)


def now(**later: float) -> datetime:
    return datetime.now(UTC) + timedelta(**later)


# Requests are signed inside of the tests: a suite may be collected long before.
@pytest.mark.parametrize("sign", [signed, presigned])
def test_own_key_is_accepted_while_its_signature_is_fresh(
    sign: Callable[[], SignedRequest],
) -> None:
    request = sign()

    assert request.check(KEYS) is OWN
    for when in (now(minutes=16), now(minutes=-16)):
        with pytest.raises(SignatureError, match="expired"):
            request.check(KEYS, when)


@pytest.mark.parametrize("sign", [signed, presigned])
@pytest.mark.parametrize("key", [new_key(), AccessKey(OWN.id, "guessed")])
def test_other_keys_are_refused(sign: Callable[[AccessKey], SignedRequest], key: AccessKey) -> None:
    with pytest.raises(SignatureError, match="not signed with a key"):
        sign(key).check(KEYS)


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b"{}"},
        {"url": f"http://{HOST}/other"},
        {"method": "PUT"},
        {"headers": {"host": "evil.example"}},
        {"headers": {"authorization": ""}},
    ],
)
def test_changed_requests_are_refused(changes: dict[str, Any]) -> None:
    request = signed()
    if "headers" in changes:
        changes = {"headers": {**request.headers, **changes["headers"]}}
    with pytest.raises(SignatureError, match="signed"):
        replace(request, **changes).check(KEYS)


def test_issued_keys_are_limited_by_their_policy() -> None:
    polls = {"Effect": "Allow", "Action": "states:GetActivityTask", "Resource": "arn:mine"}
    lent = AccessKey("ASIA", "secret", {"Statement": [polls]})

    assert lent.allows(signed())
    assert not lent.allows(signed(body=b'{"activityArn": "arn:other"}'))
    assert not lent.allows(presigned())
    assert not lent.allows(signed(path="/?Action=AssumeRole"))
    assert not lent.allows(signed(service="secretsmanager"))
    assert "secret" not in repr(lent)


def client() -> Client:
    def inner(_environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Access-Control-Allow-Origin", "*")])
        return [b"inside"]

    return Client(AwsDoor(inner, KEYS, Names(frozenset([HOST]), PAGE)))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": HOST}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": HOST, "Origin": "https://evil.example"}, 403),
        ({"Host": HOST, "Origin": PAGE}, 403),
    ],
)
def test_unsigned_requests_get_no_response_of_aws(headers: dict[str, str], status: int) -> None:
    response = client().get("/", headers=headers)

    assert (response.status_code, b"inside" in response.data) == (status, False)
    assert "Access-Control-Allow-Origin" not in response.headers


def test_only_pages_of_the_web_app_use_signed_addresses() -> None:
    address = presigned().url.removeprefix(f"http://{HOST}")
    shared = {
        origin: client().get(address, headers={"Host": HOST, "Origin": origin})
        for origin in (PAGE, "https://evil.example")
    }

    assert shared[PAGE].headers.getlist("Access-Control-Allow-Origin") == [PAGE]
    assert shared["https://evil.example"].status_code == 403
    plain = client().get(address, headers={"Host": HOST})
    assert (plain.data, "Access-Control-Allow-Origin" in plain.headers) == (b"inside", False)
