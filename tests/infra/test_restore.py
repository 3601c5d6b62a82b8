"""Backup and restore of the table as `docs/cloud.md` describes it, as far as moto goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from infra.copy_table import copy
from moto import mock_aws

from conducto.model.deployment import PARTITION_KEY, SORT_KEY, table_name

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TABLE = table_name("main")
RESTORED = f"{TABLE}-restored"


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName=TABLE,
            KeySchema=[
                {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
                {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in (PARTITION_KEY, SORT_KEY)
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        client.update_continuous_backups(
            TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        yield client


def item(number: int, text: str) -> dict[str, Any]:
    return {PARTITION_KEY: {"S": "P#1"}, SORT_KEY: {"S": f"{number:05}"}, "text": {"S": text}}


def everything(client: Any) -> dict[str, str]:
    pages = client.get_paginator("scan").paginate(TableName=TABLE)
    return {i[SORT_KEY]["S"]: i["text"]["S"] for page in pages for i in page["Items"]}


def test_a_table_is_as_it_was_after_restore_and_copy(dynamodb: Any) -> None:
    for number in range(60):
        dynamodb.put_item(TableName=TABLE, Item=item(number, "as it was"))
    before = everything(dynamodb)
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=TABLE, TargetTableName=RESTORED, UseLatestRestorableTime=True
    )
    for number in range(30):  # the accident
        dynamodb.delete_item(
            TableName=TABLE, Key={k: v for k, v in item(number, "").items() if k != "text"}
        )
    dynamodb.put_item(TableName=TABLE, Item=item(59, "spoilt"))

    assert copy(dynamodb, RESTORED, TABLE) == 60

    assert everything(dynamodb) == before
