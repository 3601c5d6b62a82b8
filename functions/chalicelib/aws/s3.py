"""The S3 bucket, and the large objects in it that clients transfer themselves."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO
from urllib.parse import quote

from chalicelib.aws.clients import Clients
from chalicelib.aws.errors import ignoring, throttling
from chalicelib.errors import ThrottledError

#: Lifetime of a presigned URL in seconds: as long as somebody who was removed can still use one.
URL_SECONDS = 300
_CHUNK = 4 << 20
#: Bytes of a part of an object that is written in parts, and maximum number of parts in flight. An
#: object has at most 10,000 parts, so parts grow.
_PART = 8 << 20
_PARTS_PER_SIZE = 1000
_IN_FLIGHT = 4
_MAX_DELETED = 1000
#: Timeout of the call that completes such an object.
_COMPLETE_SECONDS = 240.0
_MISSING = frozenset({"NoSuchKey", "404"})


class S3Bucket:
    """S3; a `chalicelib.run.port.Blobs`."""

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
        return self.put_at(key) is not None

    def size(self, key: str) -> int | None:
        found = self._head(key)
        return None if found is None else int(found["ContentLength"])

    def put_at(self, key: str) -> float | None:
        found = self._head(key)
        return None if found is None else float(found["LastModified"].timestamp())

    def _head(self, key: str) -> dict[str, Any] | None:
        client = self._clients.get("s3")
        with throttling(), ignoring(*_MISSING):
            return dict(client.head_object(Bucket=self._name, Key=key))
        return None

    def get(self, key: str) -> bytes | None:
        client = self._clients.get("s3")
        with throttling(), ignoring(*_MISSING):
            return bytes(client.get_object(Bucket=self._name, Key=key)["Body"].read())
        return None

    def part(self, key: str, first: int, count: int) -> bytes:
        """Return ``count`` bytes of an object that must exist."""
        wanted = f"bytes={first}-{first + count - 1}"
        with throttling():
            found = self._clients.get("s3").get_object(Bucket=self._name, Key=key, Range=wanted)
            return bytes(found["Body"].read())

    def whole(self, key: str) -> bytes:
        """Return the content of an object that must exist; raises `LookupError`."""
        data = self.get(key)
        if data is None:
            raise LookupError(f"{key} is no longer in the bucket")
        return data

    def put(self, key: str, data: bytes) -> None:
        with throttling():
            self._clients.get("s3").put_object(Bucket=self._name, Key=key, Body=data)

    def writer(self, key: str) -> "ObjectWriter":
        """Return a writer of an object of any size, which holds some parts in memory."""
        return ObjectWriter(self._clients, self._name, key)

    def put_file(self, key: str, file: BinaryIO) -> None:
        with throttling():
            self._clients.get("s3").upload_fileobj(file, self._name, key)

    def chunks(self, key: str) -> Iterator[bytes] | None:
        client = self._clients.get("s3")
        with throttling(), ignoring(*_MISSING):
            body = client.get_object(Bucket=self._name, Key=key)["Body"]
            found: Iterator[bytes] = body.iter_chunks(_CHUNK)
            return found
        return None

    def delete(self, key: str) -> None:
        with throttling():
            self._clients.get("s3").delete_object(Bucket=self._name, Key=key)

    def delete_below(self, prefix: str) -> None:
        """Delete all objects whose keys have a prefix."""
        for page in self.pages_below(prefix):
            self.delete_all(page)

    def delete_all(self, keys: Sequence[str]) -> None:
        """Delete many objects; a missing one is not an error.

        Raises:
            ThrottledError: S3 has not deleted all of them.
        """
        client = self._clients.get("s3")
        for first in range(0, len(keys), _MAX_DELETED):
            objects = [{"Key": key} for key in keys[first : first + _MAX_DELETED]]
            with throttling():
                found = client.delete_objects(Bucket=self._name, Delete={"Objects": objects})
            for error in found.get("Errors", ()):
                raise ThrottledError(f"{error.get('Key')} was not deleted: {error.get('Code')}")

    def pages_below(self, prefix: str) -> Iterator[list[str]]:
        """Yield the keys with a prefix, up to a thousand at a time."""
        client = self._clients.get("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
        with throttling():
            for page in pages:
                if page.get("Contents"):
                    yield [str(item["Key"]) for item in page["Contents"]]

    def bytes_below(self, prefix: str) -> int:
        """Return the total size of all objects whose keys have a prefix."""
        client = self._clients.get("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
        with throttling():
            return sum(int(item["Size"]) for page in pages for item in page.get("Contents", ()))

    def _signed(self, operation: str, wanted: dict[str, object], seconds: int | None) -> str:
        client = self._clients.get("s3")
        good_for = URL_SECONDS if seconds is None else seconds
        return str(client.generate_presigned_url(operation, Params=wanted, ExpiresIn=good_for))


class ObjectWriter:
    """Writes an object in parts; a small one in a single request. Nothing exists until `close`."""

    def __init__(self, clients: Clients, bucket: str, key: str) -> None:
        self._clients = clients
        self._client = clients.get("s3")
        self._place = {"Bucket": bucket, "Key": key}
        self._data = bytearray()
        self._upload: str | None = None
        self._parts: list[dict[str, object]] = []
        self._number = 0
        self._waiting: deque[Future[dict[str, object]]] = deque()
        self._senders = ThreadPoolExecutor(_IN_FLIGHT)

    def write(self, data: bytes) -> None:
        self._data += data
        wanted = _PART * (1 + self._number // _PARTS_PER_SIZE)
        while len(self._data) > wanted:
            self._send(bytes(self._data[:wanted]))
            del self._data[:wanted]

    def close(self) -> None:
        try:
            with throttling():
                if self._upload is None:
                    self._client.put_object(**self._place, Body=bytes(self._data))
                    return
                self._send(bytes(self._data))
                while self._waiting:
                    self._parts.append(self._waiting.popleft().result())
                self._complete()
                self._upload = None
        finally:
            self.abort()

    def abort(self) -> None:
        self._senders.shutdown(wait=True, cancel_futures=True)
        if self._upload is not None:
            with throttling(), ignoring("NoSuchUpload"):
                self._client.abort_multipart_upload(**self._place, UploadId=self._upload)
            self._upload = None

    def _complete(self) -> None:
        # It takes long for a large object, and a repetition during the first call fails.
        self._clients.once("s3", _COMPLETE_SECONDS).complete_multipart_upload(
            **self._place, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
        )

    def _send(self, data: bytes) -> None:
        with throttling():
            if self._upload is None:
                made = self._client.create_multipart_upload(**self._place)
                self._upload = str(made["UploadId"])
            while len(self._waiting) >= _IN_FLIGHT:
                self._parts.append(self._waiting.popleft().result())
        self._number += 1
        self._waiting.append(self._senders.submit(self._put, self._upload, self._number, data))

    def _put(self, upload: str, number: int, data: bytes) -> dict[str, object]:
        sent = self._client.upload_part(
            **self._place, UploadId=upload, PartNumber=number, Body=data
        )
        return {"ETag": sent["ETag"], "PartNumber": number}
