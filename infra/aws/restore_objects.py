"""``python infra/aws/restore_objects.py BUCKET PREFIX``: restores deleted objects of a bucket.

A versioned bucket keeps deleted objects for some days, below a delete marker. An object is restored
by deleting the marker if it is the latest version.
"""

import sys
from typing import Any

#: Maximum number of delete markers per request.
_BATCH = 1000


def restore_objects(client: Any, bucket: str, prefix: str) -> int:
    """Restore objects and return their number.

    Raises:
        RuntimeError: S3 rejected the deletion of a marker.
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
            response = client.delete_objects(Bucket=bucket, Delete={"Objects": some})
            for error in response.get("Errors", ()):
                raise RuntimeError(f"{error['Key']}: {error['Message']}")
            number += len(some)
    return number


def main() -> None:
    """Run the command line."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  only needed here

    if len(sys.argv) != 3:  # noqa: PLR2004
        sys.exit("usage: python infra/aws/restore_objects.py BUCKET PREFIX")
    number = restore_objects(boto3.client("s3"), *sys.argv[1:])
    print(f"{number} objects restored")  # noqa: T201


if __name__ == "__main__":
    main()
