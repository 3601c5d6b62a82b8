"""What AWS's errors mean to us."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.ports import AccessDeniedError, ThrottledError

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


def code_of(error: Exception) -> str:
    """Return the code of an error that AWS answered; "" for any other exception."""
    return str(_answer(error).get("Error", {}).get("Code", ""))


def message_of(error: Exception) -> str:
    """Return the message of an error that AWS answered."""
    return str(_answer(error).get("Error", {}).get("Message", "")) or str(error)


def reasons_of(error: Exception) -> list[str]:
    """Return why each item of a transaction was refused; ``None`` where it was not the cause."""
    return [str(r.get("Code", "None")) for r in _answer(error).get("CancellationReasons", [])]


def _answer(error: Exception) -> dict[str, Any]:
    answer = getattr(error, "response", None)
    return answer if isinstance(answer, dict) else {}


@contextmanager
def throttling() -> Iterator[None]:
    """Turn "come back later" in any of AWS's words into `ThrottledError`."""
    try:
        yield
    except Exception as error:
        if code_of(error) in THROTTLED:
            raise ThrottledError(message_of(error)) from error
        raise


@contextmanager
def denying() -> Iterator[None]:
    """Turn AWS's denial of a call into `AccessDeniedError`."""
    try:
        yield
    except Exception as error:
        if code_of(error) in DENIED:
            raise AccessDeniedError(message_of(error)) from error
        raise


@contextmanager
def ignoring(*codes: str) -> Iterator[None]:
    """Take errors of these codes for success."""
    try:
        yield
    except Exception as error:
        if code_of(error) not in codes:
            raise
