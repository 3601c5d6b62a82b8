"""Directories of the emulator that follow buckets, and the reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from conducto.wire.buckets import Bucket
from conducto_emulator.tasks.s3files import BucketDirectories, BucketDirectory, files_of
from support.cloud.aws import aws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def s3() -> Iterator[Any]:
    with aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="acme")
        yield client


def put(s3: Any, key: str, text: str) -> None:
    s3.put_object(Bucket="acme", Key=key, Body=text.encode())


def objects(s3: Any) -> dict[str, str]:
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket="acme").get("Contents", ())]
    return {key: s3.get_object(Bucket="acme", Key=key)["Body"].read().decode() for key in keys}


def test_objects_and_files_follow_each_other(s3: Any, tmp_path: Path) -> None:
    put(s3, "raw/a/x", "1")
    put(s3, "raw/y", "2")
    put(s3, "other", "3")
    directory = BucketDirectory(tmp_path / "fs", Bucket("s3://acme/raw", mode="rw"))
    directory.compare(final=False)
    root = directory.root
    assert (root / "a" / "x").read_text() == "1"
    assert sorted(each.name for each in root.iterdir()) == ["a", "y"]

    (root / "a" / "x").unlink()
    (root / "new").write_text("4")
    (root / "link").symlink_to("/etc/passwd")
    put(s3, "raw/y", "changed")
    directory.compare(final=True)

    assert objects(s3) == {"other": "3", "raw/new": "4", "raw/y": "changed"}
    assert (root / "y").read_text() == "changed"
    s3.delete_object(Bucket="acme", Key="raw/y")
    directory.compare(final=False)
    assert not (root / "y").exists()


def test_file_that_is_being_written_is_not_an_object_yet(s3: Any, tmp_path: Path) -> None:
    directory = BucketDirectory(tmp_path / "fs", Bucket("s3://acme", mode="rw"))
    directory.compare(final=False)
    (directory.root / "x").write_text("a part")
    directory.compare(final=False)
    assert objects(s3) == {}
    directory.compare(final=False)
    assert objects(s3) == {"x": "a part"}


def test_read_only_bucket_never_changes(s3: Any, tmp_path: Path) -> None:
    put(s3, "x", "1")
    directory = BucketDirectory(tmp_path / "fs", Bucket("s3://acme"))
    directory.compare(final=False)
    (directory.root / "x").unlink()
    (directory.root / "y").write_text("2")
    directory.compare(final=True)
    assert objects(s3) == {"x": "1"}


def test_keys_that_lead_out_of_the_directory_are_ignored(s3: Any, tmp_path: Path) -> None:
    put(s3, "../outside", "1")
    put(s3, "folder/", "")
    directory = BucketDirectory(tmp_path / "fs", Bucket("s3://acme"))
    directory.compare(final=True)
    assert list(directory.root.iterdir()) == []
    assert not (tmp_path / "outside").exists()


def test_volume_names_its_own_access_point(s3: Any, tmp_path: Path) -> None:
    put(s3, "x", "1")
    setting = "main=s3://acme"
    system, point = files_of(setting).split("/")
    mounts = BucketDirectories(tmp_path, setting)
    arn = f"arn:aws:s3files:us-east-1:123456789012:file-system/{system}"

    root = mounts.mount(
        "t1", {"fileSystemArn": arn, "accessPointArn": f"{arn}/access-point/{point}"}
    )
    mounts.unmount("t1")

    assert (root / "x").read_text() == "1"
    with pytest.raises(LookupError, match="is not an access point"):
        mounts.mount("t1", {"fileSystemArn": arn, "accessPointArn": "arn:aws:s3files:::other"})
