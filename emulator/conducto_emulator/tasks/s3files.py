"""Emulates S3 Files: directories that follow buckets of moto, and buckets that follow them.

As in AWS, objects and files reach each other after a while: each second, and when a task ends.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import boto3  # type: ignore[import-untyped]

from conducto.wire.buckets import Bucket
from conducto_core.buckets.rules import read_buckets, urls_of

_SECONDS = 1.0

logger = logging.getLogger(__name__)


class FileVersion(NamedTuple):
    """The version of a file."""

    modified: int
    size: int


class _Both(NamedTuple):
    """The versions of a file and its object that were equal at the last comparison."""

    file: FileVersion | None
    etag: str | None


class BucketDirectory:
    """A directory that has the objects of a prefix, and the reverse.

    Args:
        root: The directory.
        bucket: The bucket; its mode says whether files become objects.
    """

    def __init__(self, root: Path, bucket: Bucket) -> None:
        self.root = root
        self._bucket = bucket
        self._prefix = f"{bucket.prefix}/" if bucket.prefix else ""
        self._equal: dict[str, _Both] = {}
        self._last: dict[str, FileVersion] = {}
        self._lock = threading.Lock()
        self._client: Any = boto3.client("s3")

    def compare(self, *, final: bool) -> None:
        """Copy what changed since the last comparison; a file that is changing waits.

        Args:
            final: No command writes to it now.
        """
        with self._lock:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o777)  # the access point maps every user to its owner
            files, objects = dict(self._files()), dict(self._objects())
            for name in sorted({*files, *objects, *self._equal}):
                now = _Both(files.get(name), objects.get(name))
                if now != self._equal.get(name, _Both(None, None)):
                    self._copy(name, now, is_stable=final or now.file == self._last.get(name))
            self._last = files

    def _copy(self, name: str, now: _Both, *, is_stable: bool) -> None:
        before = self._equal.get(name, _Both(None, None))
        if now.file != before.file and self._bucket.mode == "rw":
            if is_stable:
                self._export(name, now)
        elif now.etag != before.etag:
            self._import(name, now)

    def _export(self, name: str, now: _Both) -> None:
        where = {"Bucket": self._bucket.name, "Key": self._prefix + name}
        if now.file is None:
            self._client.delete_object(**where)
            self._equal.pop(name, None)
            return
        with (self.root / name).open("rb") as file:
            response = self._client.put_object(**where, Body=file)
        self._equal[name] = _Both(now.file, response["ETag"])

    def _import(self, name: str, now: _Both) -> None:
        path = self.root / name
        if now.etag is None:
            path.unlink(missing_ok=True)
            self._equal.pop(name, None)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        found = self._client.get_object(Bucket=self._bucket.name, Key=self._prefix + name)
        part = self.root.with_name(f"{self.root.name}.part")
        part.write_bytes(found["Body"].read())
        part.chmod(0o644)
        part.replace(path)
        self._equal[name] = _Both(_version(path), found["ETag"])

    def _files(self) -> Iterator[tuple[str, FileVersion]]:
        for path in self.root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(self.root).as_posix(), _version(path)

    def _objects(self) -> Iterator[tuple[str, str]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.name, Prefix=self._prefix
        )
        for page in pages:
            for each in page.get("Contents", ()):
                name = each["Key"].removeprefix(self._prefix)
                if all(part not in {"", ".", ".."} for part in name.split("/")):
                    yield name, each["ETag"]


def _version(path: Path) -> FileVersion:
    found = path.stat()
    return FileVersion(found.st_mtime_ns, found.st_size)


class BucketDirectories:
    """The file systems of registered buckets.

    Args:
        folder: Parent of their directories.
        setting: The registered buckets.
    """

    def __init__(self, folder: Path, setting: str) -> None:
        known = read_buckets(setting)
        self._buckets = {
            file_system_id(url): Bucket(
                url, mode="rw" if any(each[1:] == (url, "rw") for each in known) else "ro"
            )
            for url in urls_of(known)
        }
        self._folder = folder
        self._open: dict[str, BucketDirectory] = {}
        self._ends: dict[str, threading.Event] = {}

    def mount(self, task: str, volume: Mapping[str, Any]) -> Path:
        """Return the directory of a volume of a task, with the objects of its bucket."""
        name = str(volume["fileSystemArn"]).rpartition("/")[2]
        if not str(volume["accessPointArn"]).startswith(f"{volume['fileSystemArn']}/"):
            raise LookupError(f"{volume['accessPointArn']} is not an access point of {name}")
        made = BucketDirectory(self._folder / name, self._buckets[name])
        directory = self._open.setdefault(name, made)
        directory.compare(final=False)
        end = self._ends.setdefault(task, threading.Event())
        threading.Thread(target=self._follow, args=(directory, end), daemon=True).start()
        return directory.root

    def unmount(self, task: str) -> None:
        """Stop following the buckets of a task; the last changes are copied."""
        end = self._ends.pop(task, None)
        if end is not None:
            end.set()

    @staticmethod
    def _follow(directory: BucketDirectory, end: threading.Event) -> None:
        is_over = False
        while not is_over:
            is_over = end.wait(_SECONDS)
            try:
                directory.compare(final=is_over)
            except Exception:
                logger.exception("%s was not compared with its bucket", directory.root)


def file_system_id(url: str) -> str:
    """Return the id of the file system of a bucket."""
    return f"fs-{sha256(url.encode()).hexdigest()[:17]}"


def files_of(setting: str) -> str:
    """Return the ids of file systems and access points, as functions read them."""
    ids = (file_system_id(url) for url in urls_of(read_buckets(setting)))
    return ",".join(f"{each}/{each.replace('fs-', 'fsap-')}" for each in ids)


def bucket_names(setting: str) -> list[str]:
    """Return the names of the registered buckets."""
    return [each.bucket.name for each in read_buckets(setting)]
