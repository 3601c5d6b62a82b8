"""Each mend of moto's DynamoDB by itself; a new version of moto has to pass these first."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from conducto_emulator.moto import table as moto_table

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = {"p": "HASH", "s": "RANGE"}


@pytest.fixture
def table() -> Iterator[Any]:
    moto_table.install()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1", **keys)
        client.create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in "psg"],
            KeySchema=[{"AttributeName": k, "KeyType": kind} for k, kind in KEYS.items()],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "groups",
                    "KeySchema": [
                        {"AttributeName": "g", "KeyType": "HASH"},
                        {"AttributeName": "s", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        yield client


def key(partition: str, sort: str) -> dict[str, Any]:
    return {"p": {"S": partition}, "s": {"S": sort}}


def put(partition: str, sort: str, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": "t", "Item": {**key(partition, sort), "n": {"N": "1"}}, **more}}


def add(partition: str, sort: str) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": "t",
            "Key": key(partition, sort),
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }


def sorts(table: Any, condition: str, index: str | None = None, **values: str) -> list[str]:
    response = table.query(
        TableName="t",
        **({} if index is None else {"IndexName": index}),
        KeyConditionExpression=condition,
        ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
    )
    return [item["s"]["S"] for item in response["Items"]]


def test_a_transaction_that_is_refused_leaves_everything_as_it_was(table: Any) -> None:
    table.put_item(TableName="t", Item=put("a", "old")["Put"]["Item"])
    taken = put("a", "old", ConditionExpression="attribute_not_exists(p)")

    with pytest.raises(ClientError, match="TransactionCanceled"):
        table.transact_write_items(TransactItems=[put("a", "new"), add("a", "count"), taken])
    missing = put("b", "x", ConditionExpression="attribute_exists(p)")
    with pytest.raises(ClientError, match="TransactionCanceled"):
        table.transact_write_items(TransactItems=[add("a", "old"), missing])

    items = table.scan(TableName="t")["Items"]
    assert items == [put("a", "old")["Put"]["Item"]]


def test_concurrent_transactions_lose_no_writes(table: Any) -> None:
    def write(number: int) -> None:
        operations = [add("a", "count"), put("a", f"{number:03}")]
        if number % 2:
            operations.append(put("a", "no", ConditionExpression="attribute_exists(p)"))
        try:
            table.transact_write_items(TransactItems=operations)
        except ClientError:
            assert number % 2

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(60)))

    count = table.get_item(TableName="t", Key=key("a", "count"))["Item"]["n"]["N"]
    assert count == "30"
    assert sorts(table, "p = :p AND s < :z", p="a", z="a") == [f"{n:03}" for n in range(0, 60, 2)]


def test_one_of_several_conditional_writers_wins(table: Any) -> None:
    def write(number: int) -> bool:
        item = {**key("a", "one"), "n": {"N": str(number)}}
        try:
            table.put_item(TableName="t", Item=item, ConditionExpression="attribute_not_exists(p)")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(40))) == 1


def test_query_returns_exactly_the_matching_items(table: Any) -> None:
    for partition in "ab":
        for number in range(5):
            item = put(partition, str(number))["Put"]["Item"]
            table.put_item(TableName="t", Item=item)

    assert sorts(table, "p = :p", p="a") == ["0", "1", "2", "3", "4"]
    assert sorts(table, "p = :p AND s BETWEEN :l AND :h", p="b", l="1", h="3") == ["1", "2", "3"]
    assert sorts(table, "p = :p AND s > :l", p="b", l="3") == ["4"]
    assert sorts(table, "p = :p", p="c") == []


def test_query_of_an_index_returns_exactly_the_matching_items_in_order(table: Any) -> None:
    for number, group in enumerate("xyxyx"):
        item = {**key(f"p{number}", str(9 - number)), "g": {"S": group}}
        table.put_item(TableName="t", Item=item)
    table.put_item(TableName="t", Item=key("p9", "7"))  # not in the index

    assert sorts(table, "g = :g", "groups", g="x") == ["5", "7", "9"]
    assert sorts(table, "g = :g AND s > :l", "groups", g="x", l="5") == ["7", "9"]
    assert sorts(table, "g = :g", "groups", g="z") == []


def test_cost_of_a_transaction_does_not_grow_with_the_table(table: Any) -> None:
    def cost() -> float:
        began = time.thread_time()
        for number in range(20):
            table.transact_write_items(TransactItems=[add("x", str(number)), put("y", str(number))])
        return time.thread_time() - began

    small = min(cost(), cost())
    for number in range(800):
        table.put_item(TableName="t", Item=put("z", f"{number:04}")["Put"]["Item"])

    assert min(cost(), cost()) < 5 * small  # it was some thirty times as much
