"""``python infra/aws/copy_table.py FROM TO [PIPELINE]``: copies the items of a restored table.

DynamoDB restores a table under a new name, so its items are copied to the installation's table.
Items with equal keys are replaced; other items in ``TO`` stay. Names of current secrets are copied
only where ``TO`` has none: the secrets that older ones name were deleted. With a pipeline id, only
the items of that pipeline are copied, and only if ``TO`` does not have the pipeline: two journals
cannot be merged.
"""

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

#: Maximum number of items per batch write.
_BATCH = 25
#: Seconds to wait after a partial batch write.
_TIMEOUT = 1.0
#: The keys of items (`conducto_core.installation.names`, `chalicelib.aws.table_keys`).
_PARTITION, _SORT = "pk", "sk"
_SECRETS = "S#"


class StillThereError(Exception):
    """The target still has the pipeline."""


def copy(client: Any, source: str, target: str, pipeline: str | None = None) -> int:
    """Copy items and return their number.

    With ``pipeline``, copy only its items; raises `StillThereError` if the target has it.
    """
    if pipeline is not None and _has(client, target, pipeline):
        raise StillThereError(f"{target} still has the pipeline {pipeline}; nothing was copied")
    number = 0
    for page in client.get_paginator("scan").paginate(TableName=source, ConsistentRead=True):
        items = [item for item in page["Items"] if pipeline is None or _is_of(item, pipeline)]
        number += len(items)
        names = [item for item in items if item[_PARTITION]["S"].startswith(_SECRETS)]
        for item in names:
            _put_new(client, target, item)
        items = [item for item in items if item not in names]
        for start in range(0, len(items), _BATCH):
            _put(client, target, items[start : start + _BATCH])
    return number


def _has(client: Any, table: str, pipeline: str) -> bool:
    key = {_PARTITION: {"S": f"P#{pipeline}"}, _SORT: {"S": "R"}}
    return "Item" in client.get_item(TableName=table, Key=key, ConsistentRead=True)


def _is_of(item: Mapping[str, Any], pipeline: str) -> bool:
    partition: str = item[_PARTITION]["S"]
    parts = (f"X#{pipeline}#", f"L#logs/{pipeline}/")
    return partition == f"P#{pipeline}" or partition.startswith(parts)


def _put(client: Any, target: str, items: list[dict[str, Any]]) -> None:
    waiting = {target: [{"PutRequest": {"Item": item}} for item in items]}
    while waiting:
        waiting = client.batch_write_item(RequestItems=waiting)["UnprocessedItems"]
        if waiting:
            time.sleep(_TIMEOUT)


def _put_new(client: Any, target: str, item: Mapping[str, Any]) -> None:
    with suppress(client.exceptions.ConditionalCheckFailedException):
        client.put_item(
            TableName=target, Item=item, ConditionExpression=f"attribute_not_exists({_PARTITION})"
        )


def main() -> None:
    """Run the command line."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  only needed here

    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python infra/aws/copy_table.py FROM TO [PIPELINE]")
    try:
        number = copy(boto3.client("dynamodb"), *sys.argv[1:])
    except StillThereError as error:
        sys.exit(str(error))
    print(f"{number} items copied")  # noqa: T201


if __name__ == "__main__":
    main()
