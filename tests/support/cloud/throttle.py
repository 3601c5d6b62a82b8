"""Simulated throttling and WebSocket frames, with botocore's own hooks."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

THROTTLED = "ProvisionedThroughputExceededException"


@contextmanager
def throttled(
    client: Any, operation: str, after: int = 0, code: str = THROTTLED, count: int | None = None
) -> Iterator[list[str]]:
    """Reject calls of an operation.

    Args:
        client: A boto3 client.
        operation: E.g. ``PutItem``.
        after: Number of calls that succeed before.
        code: Error code.
        count: Number of calls to reject; None: all.

    Yields:
        A list with an entry for each rejected call.
    """
    refused: list[str] = []
    calls: list[str] = []

    def refuse(**_more: Any) -> None:
        calls.append(operation)
        if len(calls) > after and (count is None or len(refused) < count):
            refused.append(operation)
            error = {"Error": {"Code": code, "Message": "slow down"}}
            raise ClientError(error, operation)

    name = f"before-call.{client.meta.service_model.service_id.hyphenize()}.{operation}"
    client.meta.events.register_first(name, refuse)
    try:
        yield refused
    finally:
        client.meta.events.unregister(name, refuse)


@contextmanager
def calls_of(client: Any) -> Iterator[list[str]]:
    """Yield the operations that a boto3 client calls."""
    calls: list[str] = []

    def note(model: Any, **_more: Any) -> None:
        calls.append(model.name)

    client.meta.events.register("before-call", note)
    try:
        yield calls
    finally:
        client.meta.events.unregister("before-call", note)


@contextmanager
def taking_frames(client: Any) -> Iterator[list[bytes]]:
    """Receive frames for WebSockets, and yield them; closing counts as done."""
    frames: list[bytes] = []

    def take(params: Any, **_more: Any) -> Any:
        if params["method"] == "POST":
            frames.append(params["body"])
        return SimpleNamespace(status_code=200), {}

    names = [
        f"before-call.apigatewaymanagementapi.{call}Connection" for call in ("PostTo", "Delete")
    ]
    for name in names:
        client.meta.events.register_first(name, take)
    try:
        yield frames
    finally:
        for name in names:
            client.meta.events.unregister(name, take)
