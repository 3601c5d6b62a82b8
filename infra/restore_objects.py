"""``python infra/restore_objects.py BUCKET PREFIX``: brings back what was deleted from a bucket.

A bucket with versions keeps what is deleted for some days, below a mark that says so. Where the
newest version of an object is such a mark, the mark goes.
"""

import sys
from typing import Any

#: Marks that S3 takes at once.
_BATCH = 1000


def restore_objects(client: Any, bucket: str, prefix: str) -> int:
    """Bring objects back; return how many there were.

    Args:
        client: boto3's of S3.
        bucket: Its name.
        prefix: How their keys begin.

    Raises:
        RuntimeError: S3 refuses to bring one back.
    """
    number = 0
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        marks = [
            {"Key": mark["Key"], "VersionId": mark["VersionId"]}
            for mark in page.get("DeleteMarkers", ())
            if mark["IsLatest"]
        ]
        for start in range(0, len(marks), _BATCH):
            some = marks[start : start + _BATCH]
            answer = client.delete_objects(Bucket=bucket, Delete={"Objects": some})
            for error in answer.get("Errors", ()):
                raise RuntimeError(f"{error['Key']}: {error['Message']}")
            number += len(some)
    return number


def main() -> None:
    """Bring back what the command line says."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  for who restores only

    if len(sys.argv) != 3:  # noqa: PLR2004
        sys.exit("python infra/restore_objects.py BUCKET PREFIX")
    number = restore_objects(boto3.client("s3"), *sys.argv[1:])
    print(f"{number} objects are back")  # noqa: T201


if __name__ == "__main__":
    main()
