"""``python infra/copy_table.py FROM TO``: copies a table's items, to put a restored one in place.

A table that DynamoDB restores has another name than the one that the installation uses. Items of
the same key are written over; others that are in ``TO`` stay.
"""

import sys
import time
from typing import Any

#: Items that DynamoDB takes at once.
_BATCH = 25
#: Seconds to wait when it took a part only.
_PATIENCE = 1.0


def copy(client: Any, source: str, target: str) -> int:
    """Copy all items; return how many there were.

    Args:
        client: boto3's of DynamoDB.
        source: Name of the table to read.
        target: Name of the table to write.
    """
    number = 0
    for page in client.get_paginator("scan").paginate(TableName=source, ConsistentRead=True):
        items = page["Items"]
        number += len(items)
        for start in range(0, len(items), _BATCH):
            _put(client, target, items[start : start + _BATCH])
    return number


def _put(client: Any, target: str, items: list[dict[str, Any]]) -> None:
    waiting = {target: [{"PutRequest": {"Item": item}} for item in items]}
    while waiting:
        waiting = client.batch_write_item(RequestItems=waiting)["UnprocessedItems"]
        if waiting:
            time.sleep(_PATIENCE)


def main() -> None:
    """Copy as the command line says."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  for who restores only

    if len(sys.argv) != 3:  # noqa: PLR2004
        sys.exit("python infra/copy_table.py FROM TO")
    number = copy(boto3.client("dynamodb"), *sys.argv[1:])
    print(f"{number} items copied")  # noqa: T201


if __name__ == "__main__":
    main()
