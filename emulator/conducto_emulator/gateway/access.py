"""Access control of the emulator: host names, origins, and signatures of AWS.

Containers and pages can reach the ports of the app and of AWS. So AWS responds only to requests
that are signed with a key of this emulator and that use a valid host name, and only to pages of the
web app.
"""

import hmac
import io
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from botocore.auth import (  # type: ignore[import-untyped]
    S3SigV4Auth,
    S3SigV4QueryAuth,
    SigV4Auth,
)
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from moto.sts.models import sts_backends
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from conducto_core.workers.rules import task_proof

# ----------------------------------------------------------------------------------------
# AWS signatures, version 4: the key that signed a request, and its permissions.
#
# The emulator has two kinds of keys. Its own key, for the app's functions, is random and has all
# permissions. Keys that the app lends to workers have the permissions of their policy.


_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})"
)
_HASH = "x-amz-content-sha256"
_HEX = re.compile(r"[0-9a-f]{64}")
#: Maximum difference between a request's time and the current time, as in AWS.
_SKEW = timedelta(minutes=15)
_SCOPE_PARTS = 5


class SignatureError(Exception):
    """A request is rejected; the message has the reason."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key.

    Attributes:
        policy: Its permissions; None for all permissions.
    """

    id: str
    secret: str = field(repr=False)
    policy: Mapping[str, Any] | None = None

    def allows(self, request: "SignedRequest") -> bool:
        """Return whether the key has the permission for a request."""
        if self.policy is None or request.asks_for_identity():
            return True
        action, resource = request.step_functions_action()
        return any(
            statement["Action"] == action and statement["Resource"] in ("*", resource)
            for statement in self.policy.get("Statement", ())
            if statement["Effect"] == "Allow"
        )


def new_key() -> AccessKey:
    """Return a random key with all permissions."""
    return AccessKey(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A received request.

    Attributes:
        url: With the path and the query exactly as sent.
        headers: By lower-case name.
        body: None if the signature does not cover it.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None

    @property
    def is_presigned(self) -> bool:
        """Whether the signature is in the query."""
        return "X-Amz-Signature" in self._query()

    def signs_body(self) -> bool:
        """Return whether the signature covers the body."""
        return not self.is_presigned and bool(_HEX.fullmatch(self.headers.get(_HASH, "0" * 64)))

    def step_functions_action(self) -> tuple[str, str]:
        """Return the Step Functions action and the activity of the request, as in policies."""
        service, _, operation = self.headers.get("x-amz-target", "").partition(".")
        where = urlsplit(self.url)
        # Moto also uses the scope and the query to determine the operation.
        scoped = "/states/aws4_request," in self.headers.get("authorization", "")
        if service != "AWSStepFunctions" or not scoped or (where.path, where.query) != ("/", ""):
            return "", ""
        asked = json.loads(self.body or b"{}")
        return f"states:{operation}", str(asked.get("activityArn", ""))

    def asks_for_identity(self) -> bool:
        """Return whether it is GetCallerIdentity, which needs no permission."""
        where = urlsplit(self.url)
        scoped = "/sts/aws4_request," in self.headers.get("authorization", "")
        return scoped and (where.path, where.query) == ("/", "") and self.body == task_proof.BODY

    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    def check(self, keys: "Keys", now: datetime | None = None) -> AccessKey:
        """Return the key that signed the request.

        Raises:
            SignatureError: It is not signed by a valid key, or has expired.
        """
        signed = self._presigned() if self.is_presigned else self._signed()
        signed.check_time(now or datetime.now(UTC))
        key = keys.find(signed.key_id)
        if key is None or not hmac.compare_digest(signed.expected(self, key), signed.signature):
            raise SignatureError("the request is not signed with a key of this emulator")
        if not self.is_presigned and self.signs_body():
            given = self.headers.get(_HASH)
            if given is not None and given != sha256(self.body or b"").hexdigest():
                raise SignatureError("the body does not match the signature")
        return key

    def _signed(self) -> "_Signed":
        found = _AUTHORIZATION.fullmatch(self.headers.get("authorization", ""))
        if found is None:
            raise SignatureError("the request is not signed")
        time, names = self.headers.get("x-amz-date", ""), found[2].split(";")
        return _Signed.parse(found[1], names, found[3], time, _SKEW, presigned=False)

    def _presigned(self) -> "_Signed":
        query = self._query()
        try:
            good_for = timedelta(seconds=int(query["X-Amz-Expires"]))
            names = query["X-Amz-SignedHeaders"].split(";")
            scope, signature = query["X-Amz-Credential"], query["X-Amz-Signature"]
            return _Signed.parse(scope, names, signature, query["X-Amz-Date"], good_for)
        except (KeyError, ValueError, OverflowError) as error:
            raise SignatureError("the signature in the URL is incomplete") from error


@dataclass(frozen=True, slots=True)
class _Signed:
    """The parameters of a request's signature."""

    key_id: str
    region: str
    service: str
    names: tuple[str, ...]
    signature: str
    time: str
    good_for: timedelta
    presigned: bool

    @classmethod
    def parse(
        cls,
        scope: str,
        names: list[str],
        signature: str,
        time: str,
        good_for: timedelta,
        *,
        presigned: bool = True,
    ) -> "_Signed":
        parts = scope.split("/")
        if len(parts) != _SCOPE_PARTS or "host" not in names or not time.startswith(parts[1]):
            raise SignatureError("the scope of the signature is wrong")
        return cls(parts[0], parts[2], parts[3], tuple(names), signature, time, good_for, presigned)

    def check_time(self, now: datetime) -> None:
        """Raise an error if the signature has expired or is not valid yet."""
        try:
            made = datetime.strptime(self.time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise SignatureError("the request has no time") from error
        if not made - _SKEW <= now <= made + self.good_for:
            raise SignatureError("the signature has expired")

    def expected(self, request: SignedRequest, key: AccessKey) -> str:
        """Return the signature that a key makes for a request."""
        sent = AWSRequest(request.method, self._unsigned_url(request.url), data=request.body)
        for name in self.names:
            sent.headers[name] = request.headers.get(name, "")
        sent.context["timestamp"] = self.time
        kind = SigV4Auth
        if self.service == "s3":
            kind = S3SigV4QueryAuth if self.presigned else S3SigV4Auth
        auth = kind(Credentials(key.id, key.secret), self.service, self.region)
        return str(auth.signature(auth.string_to_sign(sent, auth.canonical_request(sent)), sent))

    def _unsigned_url(self, url: str) -> str:
        if not self.presigned:
            return url
        address, _, query = url.partition("?")
        kept = [part for part in query.split("&") if not part.startswith("X-Amz-Signature=")]
        return f"{address}?{'&'.join(kept)}"


class Keys:
    """The keys of one emulator: its own, and those that STS issued."""

    def __init__(self, own: AccessKey) -> None:
        self.own = own

    def find(self, key_id: str) -> AccessKey | None:
        """Return a valid key by its id."""
        return self.own if key_id == self.own.id else next(self._lent(key_id), None)

    def _lent(self, key_id: str) -> Iterator[AccessKey]:
        now = datetime.now(UTC)
        for partitions in list(sts_backends.values()):
            for backend in list(partitions.values()):
                for role in list(backend.assumed_roles):
                    if role.access_key_id == key_id and _aware(role.expiration) > now:
                        # A role without a policy has no permissions here.
                        policy = json.loads(role.policy or "{}")
                        yield AccessKey(key_id, role.secret_access_key, policy)


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


_FORBIDDEN, _MISDIRECTED = 403, 421
_STATUS_LINES = {_FORBIDDEN: "403 Forbidden", _MISDIRECTED: "421 Misdirected Request"}
_CORS = "access-control-"
#: The CORS settings of the deployed bucket.
_PREFLIGHT = {"Access-Control-Allow-Methods": "GET, PUT", "Access-Control-Allow-Headers": "*"}

StartResponse = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Names:
    """Valid host names and the allowed origin of an address.

    Attributes:
        hosts: Valid values of the header ``Host``.
        page: Origin of the web app.
    """

    hosts: frozenset[str]
    page: str

    def refusal(self, host: str, origin: str | None) -> tuple[int, str] | None:
        """Return status and reason if a request is rejected."""
        if host not in self.hosts:
            return _MISDIRECTED, f"{host!r} is not a host name of this emulator"
        if origin is not None and origin != self.page:
            return _FORBIDDEN, f"pages of {origin!r} may not use this emulator"
        return None


class AwsDoor:
    """WSGI middleware in front of moto."""

    def __init__(self, inner: Any, keys: Keys, names: Names) -> None:
        self._inner = inner
        self._keys = keys
        self._names = names

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        refusal = self._names.refusal(environ.get("HTTP_HOST", ""), origin)
        if refusal is not None:
            return _refuse(start, *refusal)
        # Pages use presigned URLs of the bucket; they sign nothing themselves.
        if origin is not None and "X-Amz-Signature" not in parse_qs(environ["QUERY_STRING"]):
            return _refuse(start, _FORBIDDEN, "pages may only use presigned URLs")
        if origin is not None and environ["REQUEST_METHOD"] == "OPTIONS":
            start("204 No Content", [*_PREFLIGHT.items(), *_shared_with(origin)])
            return []
        try:
            self._check(environ)
        except SignatureError as error:
            return _refuse(start, _FORBIDDEN, str(error))
        body: Iterable[bytes] = self._inner(environ, _without_cors(start, origin))
        return body

    def _check(self, environ: dict[str, Any]) -> None:
        request = _request(environ)
        if request.signs_body():
            body = _read(environ)
            environ["wsgi.input"] = io.BytesIO(body)
            request = SignedRequest(request.method, request.url, request.headers, body)
        if not request.check(self._keys).allows(request):
            raise SignatureError("the key that signed the request does not allow it")


def _request(environ: Mapping[str, Any]) -> SignedRequest:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    url = f"http://{environ['HTTP_HOST']}{environ['REQUEST_URI']}"
    return SignedRequest(environ["REQUEST_METHOD"], url, headers)


def _read(environ: Mapping[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    if length:
        return bytes(stream.read(int(length)))
    return bytes(stream.read()) if environ.get("wsgi.input_terminated") else b""


def _refuse(start: StartResponse, status: int, reason: str) -> Iterable[bytes]:
    said = json.dumps({"__type": "AccessDeniedException", "message": reason}).encode()
    kind = ("Content-Type", "application/json")
    start(_STATUS_LINES[status], [kind, ("Content-Length", str(len(said)))])
    return [said]


def _shared_with(origin: str) -> list[tuple[str, str]]:
    return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]


def _without_cors(start: StartResponse, origin: str | None) -> StartResponse:
    """Return a start function that replaces moto's permissive CORS headers."""

    def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept = [(name, value) for name, value in headers if not name.lower().startswith(_CORS)]
        return start(status, [*kept, *(_shared_with(origin) if origin else [])], *rest)

    return started


class ApiDoor:
    """ASGI middleware in front of the APIs and the web app, which authenticate requests."""

    def __init__(self, inner: ASGIApp, names: Names) -> None:
        self._inner = inner
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._names.refusal(headers.get("host", ""), headers.get("origin"))
        if refusal is None:
            await self._inner(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            await JSONResponse({"message": refusal[1]}, refusal[0])(scope, receive, send)
