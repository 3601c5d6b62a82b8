"""DynamoDB requests of the app to moto's handler, without Flask.

Flask, and moto's general parser and serializer, take most of the time of a call. This middleware
parses and serializes the JSON of the operations that the app uses, and calls moto's handler itself.
Whatever is unusual, and every request that the handler rejects, goes through moto as a whole.
"""

import base64
import io
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.utils import get_service_model
from moto.dynamodb.responses import DynamoHandler

StartResponse = Callable[..., Any]

_TARGET = "DynamoDB_20120810."
#: ``{operation: method of the handler}``.
_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "GetItem": "get_item",
        "Query": "query",
        "PutItem": "put_item",
        "UpdateItem": "update_item",
        "DeleteItem": "delete_item",
        "BatchWriteItem": "batch_write_item",
        "TransactWriteItems": "transact_write_items",
    }
)
_REGION = re.compile(r"Credential=[^/,]+/\d{8}/([a-z0-9-]+)/dynamodb/aws4_request")
_REQUEST_ID_BYTES = 26


class ShortWay:
    """WSGI middleware in front of moto."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Handle a request."""
        target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
        operation = target.removeprefix(_TARGET)
        region = _REGION.search(str(environ.get("HTTP_AUTHORIZATION", "")))
        length = environ.get("CONTENT_LENGTH")
        if operation in _METHODS and region is not None and length:
            body = bytes(environ["wsgi.input"].read(int(length)))
            said = _said(operation, region[1], body)
            if said is not None:
                start("200 OK", _headers(said))
                return [said]
            environ["wsgi.input"] = io.BytesIO(body)
        passed_on: Iterable[bytes] = self._inner(environ, start)
        return passed_on


def _said(operation: str, region: str, body: bytes) -> bytes | None:
    """Return the body of the response; None if moto must handle the request as a whole."""
    handler = DynamoHandler()
    handler.current_account, handler.region = DEFAULT_ACCOUNT_ID, region
    try:
        handler.body = json.loads(body, object_hook=_decoded)
        result = getattr(handler, _METHODS[operation])().result
    except Exception:  # noqa: BLE001  moto makes the response to an error, and has changed nothing
        return None
    known = _fields(operation)
    kept = {name: each for name, each in result.items() if name in known and each is not None}
    return json.dumps(kept, default=_encoded).encode()


@cache
def _fields(operation: str) -> frozenset[str]:
    """Return the names of the fields of an operation's response."""
    return frozenset(get_service_model("dynamodb").operation_model(operation).output_shape.members)


def _decoded(value: dict[str, Any]) -> Any:
    """Decode a binary value. An attribute with the name ``B`` has an object, not a text."""
    if len(value) == 1 and isinstance(value.get("B"), str):
        return {"B": base64.b64decode(value["B"])}
    return value


def _encoded(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is not expected in a response of DynamoDB")
    return base64.b64encode(value).decode()


def _headers(body: bytes) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/x-amz-json-1.0"),
        ("x-amzn-requestid", secrets.token_hex(_REQUEST_ID_BYTES).upper()),
        ("Content-Length", str(len(body))),
    ]
