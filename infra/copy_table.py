"""``python infra/copy_table.py FROM TO [PIPELINE]``: puts a restored table's items in place.

A table that DynamoDB restores has another name than the one that the installation uses. Items of
the same key are written over; others that are in ``TO`` stay. With a pipeline's id, only what
belongs to it is copied, and only where ``TO`` has it no more: a journal has one end.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any

#: Items that DynamoDB takes at once.
_BATCH = 25
#: Seconds to wait when it took a part only.
_TIMEOUT = 1.0
#: The keys of items (`conducto_core.model.deployment`, `chalicelib.adapters.table_keys`).
_PARTITION, _SORT = "pk", "sk"


class StillThereError(Exception):
    """The pipeline was not lost."""


def copy(client: Any, source: str, target: str, pipeline: str | None = None) -> int:
    """Copy items; return how many there were.

    Args:
        client: boto3's of DynamoDB.
        source: Name of the table to read.
        target: Name of the table to write.
        pipeline: Only those of this one; None is all.

    Raises:
        StillThereError: the target has the pipeline.
    """
    if pipeline is not None and _has(client, target, pipeline):
        raise StillThereError(f"{target} has the pipeline {pipeline}; nothing was copied")
    number = 0
    for page in client.get_paginator("scan").paginate(TableName=source, ConsistentRead=True):
        items = [item for item in page["Items"] if pipeline is None or _is_of(item, pipeline)]
        number += len(items)
        for start in range(0, len(items), _BATCH):
            _put(client, target, items[start : start + _BATCH])
    return number


def _has(client: Any, table: str, pipeline: str) -> bool:
    key = {_PARTITION: {"S": f"P#{pipeline}"}, _SORT: {"S": "R"}}
    return "Item" in client.get_item(TableName=table, Key=key, ConsistentRead=True)


def _is_of(item: Mapping[str, Any], pipeline: str) -> bool:
    partition: str = item[_PARTITION]["S"]
    return partition == f"P#{pipeline}" or partition.startswith(f"L#logs/{pipeline}/")


def _put(client: Any, target: str, items: list[dict[str, Any]]) -> None:
    waiting = {target: [{"PutRequest": {"Item": item}} for item in items]}
    while waiting:
        waiting = client.batch_write_item(RequestItems=waiting)["UnprocessedItems"]
        if waiting:
            time.sleep(_TIMEOUT)


def main() -> None:
    """Copy as the command line says."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  for who restores only

    if len(sys.argv) not in (3, 4):
        sys.exit("python infra/copy_table.py FROM TO [PIPELINE]")
    try:
        number = copy(boto3.client("dynamodb"), *sys.argv[1:])
    except StillThereError as error:
        sys.exit(str(error))
    print(f"{number} items copied")  # noqa: T201


if __name__ == "__main__":
    main()
