"""Only responses of AWS are translated; a programming error stays what it is."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.errors import (
    TransactionCancelledError,
    cancelling,
    denying,
    ignoring,
    replacing,
    throttling,
)
from chalicelib.aws.s3 import S3Bucket
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


class Rest:
    """Clients of DynamoDB and S3 that leave a part of each batch, a number of times."""

    def __init__(self, refusals: int) -> None:
        self.left, self.calls = refusals, 0

    def get(self, _service: str) -> Rest:
        return self

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> Any:  # noqa: N803
        self.calls += 1
        self.left -= 1
        return {"UnprocessedItems": RequestItems if self.left >= 0 else {}}

    def delete_objects(self, Bucket: str, Delete: Any) -> Any:  # noqa: N803
        assert Bucket
        self.left -= 1
        first = {"Key": Delete["Objects"][0]["Key"], "Code": "SlowDown"}
        return {"Errors": [first]} if self.left >= 0 else {}


def test_rest_of_a_batch_is_deleted_after_a_pause_and_with_a_limit() -> None:
    table = DynamoTable(Rest(2), "table")  # type: ignore[arg-type]
    began = time.monotonic()
    table.delete_all([table_keys.record("abc")])
    assert time.monotonic() - began >= 0.05 / 2 + 0.1 / 2

    never = Rest(1000)
    with pytest.raises(ThrottledError, match="1 items of table stay"):
        DynamoTable(never, "table").delete_all([table_keys.record("abc")])  # type: ignore[arg-type]
    assert never.calls < 10


def test_objects_that_s3_did_not_delete_are_reported() -> None:
    S3Bucket(Rest(0), "bucket").delete_all(["a"])  # type: ignore[arg-type]
    with pytest.raises(ThrottledError, match="a was not deleted: SlowDown"):
        S3Bucket(Rest(1), "bucket").delete_all(["a"])  # type: ignore[arg-type]
