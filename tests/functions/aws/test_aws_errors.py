"""Only responses of AWS are translated; a programming error stays what it is."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from chalicelib.aws.errors import (
    TransactionCancelledError,
    cancelling,
    denying,
    ignoring,
    replacing,
    throttling,
)
from chalicelib.errors import AccessDeniedError, ConflictError, ThrottledError

CANCELLED = {
    "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
    "CancellationReasons": [{"Code": "None"}, {"Code": "ConditionalCheckFailed"}],
}


class LookalikeError(Exception):
    """An error of another library, with a response like that of AWS."""

    def __init__(self, response: object) -> None:
        super().__init__("lookalike")
        self.response = response


def _response(code: str) -> dict[str, object]:
    return {"Error": {"Code": code, "Message": f"AWS says {code}"}}


TRANSLATED = [
    pytest.param(throttling, _response("SlowDown"), ThrottledError, id="throttled"),
    pytest.param(denying, _response("AccessDenied"), AccessDeniedError, id="denied"),
    pytest.param(cancelling, CANCELLED, TransactionCancelledError, id="cancelled"),
    pytest.param(
        lambda: replacing({"Stale"}, ConflictError("stale")),
        _response("Stale"),
        ConflictError,
        id="replaced",
    ),
]


@pytest.mark.parametrize(("translator", "response", "error"), TRANSLATED)
def test_responses_of_aws_are_translated(
    translator: type[AbstractContextManager[None]], response: object, error: type[Exception]
) -> None:
    with pytest.raises(error), translator():
        raise ClientError(response, "Operation")


@pytest.mark.parametrize(("translator", "response", "error"), TRANSLATED)
def test_errors_that_are_not_of_aws_are_never_translated(
    translator: type[AbstractContextManager[None]], response: object, error: type[Exception]
) -> None:
    del error
    with pytest.raises(LookalikeError), translator():
        raise LookalikeError(response)


def test_a_missing_resource_is_ignored_only_if_aws_reports_it() -> None:
    with ignoring("404"):
        raise ClientError(_response("404"), "HeadObject")

    with pytest.raises(LookalikeError), ignoring("404"):
        raise LookalikeError(_response("404"))
    with pytest.raises(ClientError), ignoring("404"):
        raise ClientError(_response("500"), "HeadObject")


def test_a_cancelled_transaction_has_the_reason_of_each_operation() -> None:
    with pytest.raises(TransactionCancelledError) as caught, cancelling():
        raise ClientError(CANCELLED, "TransactWriteItems")

    assert caught.value.reasons == ["None", "ConditionalCheckFailed"]
