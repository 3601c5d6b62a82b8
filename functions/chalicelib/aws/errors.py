"""The meaning of AWS's errors."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chalicelib.errors import AccessDeniedError, ThrottledError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

THROTTLED = frozenset(
    {
        "AccountLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TransactionConflictException",
        "TooManyRequestsException",
    }
)


DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class TransactionCancelledError(Exception):
    """DynamoDB cancelled a transaction; nothing was written.

    Attributes:
        reasons: The error code of each operation; "None" for operations that did not fail.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"the transaction was cancelled: {', '.join(reasons)}")
        self.reasons = reasons


def client_error() -> "type[ClientError]":
    """Return the class of AWS's errors; importing botocore would slow down a cold start."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    return ClientError  # type: ignore[no-any-return]


def code_of(error: "ClientError") -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: "ClientError") -> str:
    return str(error.response.get("Error", {}).get("Message", "")) or str(error)


@contextmanager
def throttling() -> Iterator[None]:
    """Convert any AWS throttling error to `ThrottledError`."""
    try:
        yield
    except client_error() as error:
        if code_of(error) in THROTTLED:
            raise ThrottledError(message_of(error)) from error
        raise


@contextmanager
def denying() -> Iterator[None]:
    """Convert an AWS permission error to `AccessDeniedError`."""
    try:
        yield
    except client_error() as error:
        if code_of(error) in DENIED:
            raise AccessDeniedError(message_of(error)) from error
        raise


@contextmanager
def timing_out(message: str) -> Iterator[None]:
    """Raise `TimeoutError` if AWS does not respond in time."""
    from botocore.exceptions import ReadTimeoutError  # noqa: PLC0415  as in `client_error`

    try:
        yield
    except ReadTimeoutError as error:
        raise TimeoutError(message) from error


@contextmanager
def cancelling() -> Iterator[None]:
    """Raise `TransactionCancelledError` in place of AWS's error."""
    try:
        yield
    except client_error() as error:
        if code_of(error) != "TransactionCanceledException":
            raise
        reasons = error.response.get("CancellationReasons", [])
        codes = [str(reason.get("Code", "None")) for reason in reasons]
        raise TransactionCancelledError(codes) from error


@contextmanager
def replacing(codes: Collection[str], error: Exception) -> Iterator[None]:
    """Raise ``error`` in place of AWS's errors with one of these codes."""
    try:
        yield
    except client_error() as aws:
        if code_of(aws) in codes:
            raise error from aws
        raise


@contextmanager
def ignoring(*codes: str) -> Iterator[None]:
    """Ignore errors with these codes."""
    try:
        yield
    except client_error() as error:
        if code_of(error) not in codes:
            raise
