"""Additions to other implementations of AWS; each is removed when the implementation has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest

from support.cloud.aws import ACCOUNT, REGION
from support.cloud.other_aws import dynalite_alone

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

KEYS = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "test"}


def test_dynalite_alone_has_no_transactions() -> None:
    client = boto3.client("dynamodb", REGION, endpoint_url=dynalite_alone(), **KEYS)
    delete = {"Delete": {"TableName": "none", "Key": {"p": {"S": "x"}}}}

    with pytest.raises(client.exceptions.ClientError) as refused:
        client.transact_write_items(TransactItems=[delete])

    error: ClientError = refused.value
    # It knows the operation? Then tests/tools/dynamodb.mjs is no longer needed.
    assert error.response["Error"]["Code"] == "UnknownOperationException"
