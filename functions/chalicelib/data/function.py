"""The function ``data``: access to data files where the file system is mounted.

It runs in the VPC of the file system without internet access; large contents are exchanged through
the bucket. `serve` maps a JSON request to a JSON response, so that the same code runs in Lambda
(`chalicelib.data.aws`) and in this process (`LocalDataFiles`).
"""

import asyncio
import base64
import errno
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from math import inf
from pathlib import Path
from threading import Thread
from time import monotonic, time
from typing import Any, BinaryIO, cast

from chalicelib.data.copy_jobs import Counted, Counter, end
from chalicelib.data.model import What
from chalicelib.run.port import Blobs, FileFacts
from conducto_core.cache.marks import Marks
from conducto_core.cache.views import CachedFiles, DamagedObjectError
from conducto_core.data.handlers import DataDirectory
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.responses import ChangedData, DataEntry, DataList, Deleted

logger = logging.getLogger(__name__)

#: Maximum bytes inside a request; Lambda accepts 6 MB, and base64 adds a third.
MAX_INLINE = 4 << 20
#: The directories of `conducto_core.installation.names`; all others are rejected.
_DIRECTORY = re.compile(r"/(?:pipelines|users|contents)/[A-Za-z0-9_-]+")
_CONTENTS = "contents"
#: Maximum bytes of the marks in a response.
_MAX_MARKS = 4 << 20

_DAY = 86_400.0
#: Error codes of an entry that another client of the file system has deleted.
_MISSING = (errno.ENOENT, errno.ESTALE)


class LocalDataFiles:
    """A `chalicelib.run.port.DataFiles` over a directory of this machine."""

    def __init__(self, root: Path, blobs: Blobs) -> None:
        self._root = root
        self._blobs = blobs
        self._cached: dict[str, CachedFiles] = {}

    def entries(self, directory: str, name: str, after: str | None, limit: int) -> DataList:
        if not self._path(directory).is_dir():  # no command has mounted it yet
            return DataList(entries=(), next=None)
        return self._directory(directory).entries(name, after, limit)

    def changed(self, directory: str, since: float, until: float | None, limit: int) -> ChangedData:
        if not self._path(directory).is_dir():
            return ChangedData(entries=())
        return self._directory(directory).changed(since, until, limit)

    def stat(self, directory: str, name: str) -> FileFacts:
        with self._directory(directory).open(name) as file:
            found = os.fstat(file.fileno())
        return FileFacts(found.st_size, f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}")

    def stage(self, directory: str, name: str, key: str) -> None:
        with self._directory(directory).open(name) as file:
            counter = Counter(self._blobs, key, os.fstat(file.fileno()).st_size)
            self._blobs.put_file(key, cast("BinaryIO", Counted(file, counter)))

    def write(self, directory: str, name: str, data: bytes) -> DataEntry:
        return asyncio.run(self._writable(directory).write(name, _chunks([data])))

    def fetch(self, directory: str, name: str, key: str) -> DataEntry:
        content = self._blobs.chunks(key)
        if content is None:
            raise NotFoundError(
                f"{name}: its content was not uploaded, or has expired; upload it again"
            )
        counter = Counter(self._blobs, key, self._blobs.size(key) or 0)
        return asyncio.run(self._writable(directory).write(name, _chunks(counter.chunks(content))))

    def begin(self, what: What, directory: str, name: str, key: str) -> None:
        """Stage or fetch a file in a thread."""
        Thread(target=self.execute, args=(what, directory, name, key), daemon=True).start()

    def execute(self, what: What, directory: str, name: str, key: str) -> None:
        """Stage or fetch a file and write the result to the bucket."""
        request = {"do": what, "directory": directory, "name": name, "key": key}
        try:
            said = serve(self, request)
        except Exception as error:
            # Lambda would retry on its own, without reporting the error.
            logger.exception("a copy failed", extra={"key": key})
            said = {"error": "failed", "message": f"{name} could not be copied: {error}"}
        end(self._blobs, key, said)

    def delete(self, directory: str, name: str) -> Deleted:
        return self._directory(directory).delete(name)

    def total(self, directory: str, seconds: float) -> int:
        """Return the bytes of all files of a directory."""
        end = monotonic() + seconds
        whole = 0
        for parent, _, names in os.walk(self._path(directory)):
            for name in names:
                whole += _size(os.path.join(parent, name))  # noqa: PTH118  one object per file
                if monotonic() > end:
                    raise TimeoutError(f"{directory} was not counted in {seconds:g} s")
        return whole

    def forget(self, directory: str, seconds: float = inf) -> None:  # noqa: ARG002  one call
        """Delete a directory and its contents; another invocation may delete it as well."""
        path = self._path(directory)
        if path.is_dir():
            shutil.rmtree(path, onerror=_ignore_missing)

    # ---- files of cached commands (`conducto_core.cache.views`) --------------------------------

    def marks(
        self, directory: str, contents: str, patterns: Sequence[str], seconds: float
    ) -> Marks:
        """Return the marks of the files that patterns name."""
        until = monotonic() + seconds
        marks = self._files_of(contents).marks(self._path(directory), patterns, until)
        size = sum(len(name) + len(mark) for name, mark in marks.found.items())
        if size > _MAX_MARKS:
            return Marks({}, f"it reads {len(marks.found):,} files, which are too many here")
        return marks

    def save_contents(self, directory: str, contents: str, wrote: Mapping[str, str]) -> int:
        return self._files_of(contents).save_contents(self._path(directory), wrote)

    def place(
        self,
        directory: str,
        contents: str,
        writes: Sequence[str],
        wrote: Mapping[str, str],
        seconds: float,
    ) -> None:
        """Write the files of an entry of the cache to the data."""
        until = monotonic() + seconds
        self._writable(directory)
        self._files_of(contents).restore(self._path(directory), writes, wrote, until)

    def trim(self, days: float) -> None:
        for path in (self._root / _CONTENTS).glob("*"):
            CachedFiles(path).trim((), time(), days * _DAY)

    def _files_of(self, contents: str) -> CachedFiles:
        if contents not in self._cached:  # one organisation, because digests take memory
            self._cached = {contents: CachedFiles(self._path(contents), shared=True)}
        return self._cached[contents]

    def _path(self, directory: str) -> Path:
        if _DIRECTORY.fullmatch(directory) is None:
            raise RefusedError(f"{directory!r} is not a data directory")
        return self._root / directory.lstrip("/")

    def _directory(self, directory: str) -> DataDirectory:
        path = self._path(directory)
        if not path.is_dir():
            raise NotFoundError("no such data: no command has written here yet")
        return DataDirectory(path)

    def _writable(self, directory: str) -> DataDirectory:
        path = self._path(directory)
        path.mkdir(mode=0o777, parents=True, exist_ok=True)
        path.chmod(0o777)  # like its access point: commands run as any user
        return DataDirectory(path)


def _ignore_missing(_call: object, _path: str, error: Any) -> None:
    if error[1].errno not in _MISSING:
        raise error[1]


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        return 0


async def _chunks(content: Any) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk


def serve(files: LocalDataFiles, request: Mapping[str, Any]) -> dict[str, Any]:
    """Execute a request of `adapters.data_function_client` and return the response."""
    try:
        return {"answer": _execute(files, dict(request))}
    except NotFoundError as error:
        return {"error": "not_found", "message": str(error)}
    except RefusedError as error:
        return {"error": "refused", "message": str(error)}
    except TimeoutError as error:
        return {"error": "timeout", "message": str(error)}
    except DamagedObjectError as error:
        return {"error": "damaged", "message": str(error)}


def _execute(files: LocalDataFiles, request: dict[str, Any]) -> Any:
    match request.pop("do"):
        case "write":
            data = base64.b64decode(request.pop("data"))
            return files.write(**request, data=data).model_dump(mode="json")
        case "look":
            return list(files.stat(**request))
        case "stage" | "total" | "forget" | "marks" | "place" | "trim" as what:
            return getattr(files, what)(**request)
        case "keep":
            return files.save_contents(**request)
        case "later":
            return files.execute(**request)
        case "entries" | "changed" | "fetch" | "delete" as what:
            return getattr(files, what)(**request).model_dump(mode="json")
        case unknown:
            raise RefusedError(f"the data function does not know {unknown!r}; deploy again")
