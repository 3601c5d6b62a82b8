"""DynamoDB by the short way, with expressions that are parsed once, responds like moto itself.

As a program, this file prints the responses of moto without any patch.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import Client

_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261128/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=00"
)
_TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in "psg"],
    "KeySchema": [
        {"AttributeName": "p", "KeyType": "HASH"},
        {"AttributeName": "s", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "groups",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}
Call = tuple[str, dict[str, Any]]


def _key(sort: str) -> dict[str, Any]:
    return {"p": {"S": "a"}, "s": {"S": sort}}


def _update(sort: str, expression: str, more: str = "", **values: Any) -> Call:
    named = {f"#{name}": name for name in ("n", "date", "x") if f"#{name}" in expression + more}
    asked: dict[str, Any] = {"Key": _key(sort), "UpdateExpression": expression}
    if named:
        asked["ExpressionAttributeNames"] = named
    if values:
        asked["ExpressionAttributeValues"] = {f":{name}": each for name, each in values.items()}
    if more:
        asked["ConditionExpression"] = more
    return "UpdateItem", {**asked, "ReturnValues": "UPDATED_NEW"}


def _of(call: Call) -> dict[str, Any]:
    """Return an update as an operation of a transaction."""
    kept = {name: value for name, value in call[1].items() if name != "ReturnValues"}
    return {"Update": {"TableName": "t", **kept}}


def _put(sort: str, where: str | None = None, **attributes: Any) -> Call:
    condition = {} if where is None else {"ConditionExpression": where}
    return "PutItem", {"Item": {**_key(sort), **attributes}, **condition}


def _query(condition: str, **more: Any) -> Call:
    values = {":p": "a", ":l": "1", ":h": "3", ":b": "4", ":g": "x"}
    used = {name: {"S": value} for name, value in values.items() if name in condition}
    return "Query", {
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": used,
        **more,
    }


def _transact(*operations: dict[str, Any]) -> Call:
    return "TransactWriteItems", {"TransactItems": list(operations)}


def _check(sort: str, where: str, **values: Any) -> dict[str, Any]:
    check: dict[str, Any] = {"TableName": "t", "Key": _key(sort), "ConditionExpression": where}
    if values:
        check["ExpressionAttributeValues"] = {f":{name}": each for name, each in values.items()}
    return {"ConditionCheck": check}


_NUMBER, _TWO, _TEXT, _BYTES = {"N": "1"}, {"N": "2.50"}, {"S": "x"}, {"B": "AAEC/w=="}
_ALL = "SET #n = :n, #date = :d ADD #x :x REMOVE gone"
_CALLS: list[Call] = [
    _put("1", n=_NUMBER, date=_TEXT, data=_BYTES, B=_BYTES, yes={"BOOL": True}, g=_TEXT),
    ("GetItem", {"Key": _key("1"), "ConsistentRead": True}),
    ("GetItem", {"Key": _key("missing")}),
    ("GetItem", {"Key": {"p": {"S": "a"}}}),
    ("GetItem", {"Key": _key("")}),
    _put("1", "attribute_not_exists(p)", n=_TWO),
    _put("2", "attribute_not_exists(p)", n=_TWO, list={"L": [_NUMBER, {"M": {"k": _BYTES}}]}),
    _put("3", "date = :x", n=_TWO),
    _put("4", g={"S": ""}),
    _put("5", n={"N": "many"}),
    _put("6", big={"S": "y" * 410_000}),
    _update("1", _ALL, n=_TWO, d=_TEXT, x=_NUMBER),
    _update("new", _ALL, n=_NUMBER, d=_BYTES, x=_TWO),
    _update("1", "ADD #n :n", "#n <= :top AND attribute_exists(p)", n=_NUMBER, top={"N": "4"}),
    _update("1", "SET #n = :n", "NOT #n BETWEEN :l AND :h", n=_TEXT, l=_NUMBER, h=_TWO),
    _update("2", "ADD #n :n", n=_TEXT),
    _update("2", "SET #n = #n + :n", n=_NUMBER),
    _update("2", "SET #n = if_not_exists(#x, :n)", n=_TEXT),
    _update("2", "ADD #n :n", n=_NUMBER),
    _update("2", "SET p = :n", n=_TEXT),
    _update("2", "SET date = :n", n=_TEXT),
    _update("2", "SET #n = :n, #n = :n", n=_TEXT),
    _update("2", "SET #n = :n", n=_TEXT, unused=_TEXT),
    _update("2", "SET #n = :missing", n=_TEXT),
    _update("2", "SET g = :n", n={"S": ""}),
    _update("2", "SET g = :n", n=_NUMBER),
    _update("2", "REMOVE #x, #date"),
    _update("2", "SET #n = :n", "((attribute_exists(p)))", n=_TEXT),
    _query("p = :p"),
    _query("p = :p AND s BETWEEN :l AND :h", Limit=1),
    _query("p = :p AND s BETWEEN :l AND :h", ScanIndexForward=False, ConsistentRead=True),
    _query("p = :p AND s BETWEEN :l AND :h", ExclusiveStartKey=_key("1")),
    _query("p = :p AND begins_with(s, :b)"),
    _query("p = :p AND s > :l"),
    _query("g = :g", IndexName="groups"),
    _query("g = :g", IndexName="groups", ConsistentRead=True),
    _query("g = :g"),
    _put("0", n=_TWO, g=_TEXT),
    _transact(
        {"Put": {"TableName": "t", "Item": {**_key("7"), "n": _NUMBER}}},
        _of(_update("7a", _ALL, n=_TWO, d=_TEXT, x=_NUMBER)),
        _check("0", "n > :n AND begins_with(g, :d)", n=_NUMBER, d=_TEXT),
    ),
    _transact(
        {"Put": {"TableName": "t", "Item": {**_key("7"), "n": _TWO}}},
        _of(_update("7a", _ALL, "#n = :n", n=_TWO, d=_TEXT, x=_NUMBER)),
        _check("1", "attribute_exists(p)"),
        {"Delete": {"TableName": "t", "Key": _key("3")}},
    ),
    _transact(
        {"Put": {"TableName": "t", "Item": {**_key("8"), "n": _NUMBER}}},
        _of(_update("7a", "ADD #n :n", "#n > :top", n=_TWO, top=_TWO)),
        _check("1", "attribute_exists(p) OR p IN (:n, :m)", n=_TEXT, m=_NUMBER),
    ),
    _transact(_check("1", "attribute_exists(p)"), _of(_update("1", "ADD #n :n", n=_NUMBER))),
    _transact(_of(_update("7a", "ADD #n :n", n=_NUMBER)), _of(_update("7a", "REMOVE #x"))),
    (
        "BatchWriteItem",
        {
            "RequestItems": {
                "t": [
                    {"PutRequest": {"Item": {**_key("9"), "data": _BYTES}}},
                    {"DeleteRequest": {"Key": _key("7")}},
                ]
            }
        },
    ),
    ("DeleteItem", {"Key": _key("9"), "ReturnValues": "ALL_OLD"}),
    ("DeleteItem", {"Key": _key("9"), "ReturnValues": "ALL_OLD"}),
    ("DeleteItem", {"Key": _key("1"), "ConditionExpression": "attribute_not_exists(p)"}),
    ("Scan", {}),
]


def _responses(application: Any) -> list[Any]:
    """Return status and body of each call; all are made twice, the second time on their results."""
    client = Client(application)
    made = ("CreateTable", _TABLE)
    return [_response(client, *call) for call in (made, *_CALLS, *_CALLS)][1:]


def _response(client: Client, operation: str, asked: dict[str, Any]) -> Any:
    headers = {
        "Authorization": _SIGNED,
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
    }
    body = asked if "TransactItems" in asked else {"TableName": "t", **asked}
    try:
        response = client.post("/", headers=headers, data=json.dumps(body))
    except Exception as error:  # noqa: BLE001  moto does not handle every mistake
        return [operation, 500, type(error).__name__]
    return [operation, response.status_code, json.loads(response.get_data())]


def test_every_response_is_that_of_moto_without_patches() -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__))], capture_output=True, text=True, check=True
    )
    expected = json.loads(done.stdout)
    # Not in the process without patches:
    from conducto_emulator.moto import table as moto_table
    from conducto_emulator.moto.server import ShortWay

    moto_table.install()
    application = DomainDispatcherApplication(create_backend_app)
    Client(application).post("/moto-api/reset").close()

    found = _responses(ShortWay(application))

    assert {status for _, status, _ in expected} >= {200, 400}
    for call, one, other in zip(_CALLS * 2, found, expected, strict=True):
        assert one == other, call


if __name__ == "__main__":
    json.dump(_responses(DomainDispatcherApplication(create_backend_app)), sys.stdout)
