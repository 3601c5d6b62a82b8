"""The S3 bucket, and the large objects in it that clients transfer themselves."""

from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

from chalicelib.adapters.aws_errors import ignoring, throttling
from chalicelib.adapters.clients import Clients

#: Lifetime of a presigned URL in seconds: as long as somebody who was removed can still use one.
URL_SECONDS = 300
_CHUNK = 4 << 20
_MISSING = frozenset({"NoSuchKey", "404"})


class S3Bucket:
    """S3; a `chalicelib.ports.storage.Blobs`."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self._name = name

    def upload_url(self, key: str, *, size: int | None = None, seconds: int | None = None) -> str:
        """Return a URL for a PUT, of exactly ``size`` bytes if given."""
        wanted: dict[str, object] = {"Bucket": self._name, "Key": key}
        if size is not None:
            wanted["ContentLength"] = size
        return self._signed("put_object", wanted, seconds)

    def download_url(self, key: str, *, filename: str, seconds: int | None = None) -> str:
        """Return a URL for a GET; browsers save the content and never display it."""
        disposition = f"attachment; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
        wanted: dict[str, object] = {
            "Bucket": self._name,
            "Key": key,
            "ResponseContentDisposition": disposition,
            "ResponseContentType": "application/octet-stream",
        }
        return self._signed("get_object", wanted, seconds)

    def exists(self, key: str) -> bool:
        """Return whether an object exists."""
        return self.put_at(key) is not None

    def size(self, key: str) -> int | None:
        """Return the size of an object in bytes, or None if it does not exist."""
        found = self._head(key)
        return None if found is None else int(found["ContentLength"])

    def put_at(self, key: str) -> float | None:
        """Return the last-modified time in seconds since the epoch, or None without an object."""
        found = self._head(key)
        return None if found is None else float(found["LastModified"].timestamp())

    def _head(self, key: str) -> dict[str, Any] | None:
        client = self._clients.get("s3")
        with throttling(), ignoring(*_MISSING):
            return dict(client.head_object(Bucket=self._name, Key=key))
        return None

    def get(self, key: str) -> bytes | None:
        """Return the content of an object, or None if it does not exist."""
        client = self._clients.get("s3")
        with throttling(), ignoring(*_MISSING):
            return bytes(client.get_object(Bucket=self._name, Key=key)["Body"].read())
        return None

    def whole(self, key: str) -> bytes:
        """Return the content of an object that must exist; raises `LookupError`."""
        data = self.get(key)
        if data is None:
            raise LookupError(f"{key} is no longer in the bucket")
        return data

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        with throttling():
            self._clients.get("s3").put_object(Bucket=self._name, Key=key, Body=data)

    def put_file(self, key: str, file: BinaryIO) -> None:
        """Write an object from an open file of any size."""
        with throttling():
            self._clients.get("s3").upload_fileobj(file, self._name, key)

    def chunks(self, key: str) -> Iterator[bytes] | None:
        """Return the content of an object in chunks of some MB, or None if it does not exist."""
        client = self._clients.get("s3")
        with throttling(), ignoring(*_MISSING):
            body = client.get_object(Bucket=self._name, Key=key)["Body"]
            found: Iterator[bytes] = body.iter_chunks(_CHUNK)
            return found
        return None

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is not an error."""
        with throttling():
            self._clients.get("s3").delete_object(Bucket=self._name, Key=key)

    def delete_below(self, prefix: str) -> None:
        """Delete all objects whose keys have a prefix."""
        client = self._clients.get("s3")
        for page in self.pages_below(prefix):
            with throttling():
                objects = [{"Key": key} for key in page]
                client.delete_objects(Bucket=self._name, Delete={"Objects": objects})

    def pages_below(self, prefix: str) -> Iterator[list[str]]:
        """Yield the keys with a prefix, up to a thousand at a time."""
        client = self._clients.get("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
        with throttling():
            for page in pages:
                if page.get("Contents"):
                    yield [str(item["Key"]) for item in page["Contents"]]

    def _signed(self, operation: str, wanted: dict[str, object], seconds: int | None) -> str:
        client = self._clients.get("s3")
        good_for = URL_SECONDS if seconds is None else seconds
        return str(client.generate_presigned_url(operation, Params=wanted, ExpiresIn=good_for))
