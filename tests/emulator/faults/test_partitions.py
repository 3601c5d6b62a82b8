"""Units of DynamoDB's calls by partition, and their limits."""

from __future__ import annotations

import base64
from typing import Any

from conducto_emulator.faults.partitions import READS, WRITES, CapacityUnits, NetworkPartitions

KIB = 1024


def key(partition: str, sort: str = "R") -> dict[str, Any]:
    return {"pk": {"S": partition}, "sk": {"S": sort}}


def put(partition: str, size: int = 1, **more: Any) -> dict[str, Any]:
    return {"Item": {**key(partition), "data": {"B": b"x" * size}, **more}}


def test_a_write_costs_a_unit_for_each_kibibyte_and_twice_that_in_a_transaction() -> None:
    units = CapacityUnits()
    large = put("P#a", 3 * KIB)

    assert units.written("PutItem", put("P#a")) == [("P#a", 1)]
    assert units.written("PutItem", large) == [("P#a", 4)]
    assert units.written("TransactWriteItems", {"TransactItems": [{"Put": large}]}) == [("P#a", 8)]
    checked = {"ConditionCheck": {"Key": key("P#a"), "ConditionExpression": "a = :b"}}
    assert units.written("TransactWriteItems", {"TransactItems": [checked]}) == [("P#a", 8)]
    assert units.written("DeleteItem", {"Key": key("P#a")}) == [("P#a", 4)]


def test_the_wire_and_boto3_cost_the_same() -> None:
    data = b"\0" * 5000
    wire = {"Item": {**key("P#a"), "data": {"B": base64.b64encode(data).decode()}}}

    assert CapacityUnits().written("PutItem", wire) == CapacityUnits().written(
        "PutItem", {"Item": {**key("P#a"), "data": {"B": data}}}
    )


def test_an_index_has_partitions_of_its_own() -> None:
    units = CapacityUnits()
    listed = {"org_key": {"S": "P#acme"}, "created_key": {"S": "1"}}
    opened = {"open_key": {"S": "open"}, "open_sort": {"S": "acme#a"}}

    assert units.written("PutItem", put("P#a", **listed, **opened)) == [
        ("P#a", 1),
        ("by-org: P#acme", 1),
        ("open: open", 1),
    ]
    assert units.written("PutItem", put("P#a", **opened)) == [("P#a", 1)]
    assert units.written("PutItem", put("P#a")) == [("P#a", 1), ("open: open", 1)]


def test_reads_cost_a_unit_for_each_four_kibibytes_or_half_of_it() -> None:
    units = CapacityUnits()
    item = put("P#a", 5 * KIB)["Item"]
    get = {"Key": key("P#a"), "ConsistentRead": True}

    assert units.read("GetItem", get, {"Item": item}) == [("P#a", 2)]
    assert units.read("GetItem", {"Key": key("P#a")}, {}) == [("P#a", 0.5)]
    query = {"IndexName": "by-org", "ExpressionAttributeValues": {":p": {"S": "P#acme"}}}
    assert units.read("Query", query, {"Items": [item] * 3}) == [("by-org: P#acme", 2)]


def test_a_partition_refuses_more_than_its_limit_until_time_has_passed() -> None:
    now = [0.0]
    partitions = NetworkPartitions(lambda: now[0])
    large = put("P#a", 100 * KIB - 20)

    for _ in range(int(WRITES / 100)):
        assert partitions.allow("PutItem", large)
    assert not partitions.allow("PutItem", large)
    assert partitions.allow("PutItem", put("P#b"))  # another partition
    assert partitions.allow("GetItem", {"Key": key("P#a")})  # reads have a limit of their own
    now[0] += 0.2
    assert partitions.allow("PutItem", large)
    assert (partitions.throttled, partitions.writes["P#a"]) == (1, WRITES + 100)


def test_reads_are_limited_once_they_are_known() -> None:
    now = [0.0]
    partitions = NetworkPartitions(lambda: now[0])
    get = {"Key": key("P#a"), "ConsistentRead": True}
    item = put("P#a", 400 * KIB - 20)["Item"]

    number = 0
    while partitions.allow("GetItem", get):
        partitions.count_reads("GetItem", get, {"Item": item})
        number += 1

    assert number == READS / 100
    now[0] += 1
    assert partitions.allow("GetItem", get)
