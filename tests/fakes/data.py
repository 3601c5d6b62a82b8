"""Data files in memory, with the names and errors of the real ones."""

import hashlib
from collections.abc import AsyncIterator

from conducto_core.api.downloads import ByteRange, Download
from conducto_core.data import handlers as data_paths
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.responses import ChangedData, DataEntry, DataList, Deleted


class MemoryData:
    """One data directory; directories exist while they have entries."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def entries(self, name: str, after: str | None, limit: int) -> DataList:
        """Return a page of the entries of a directory, by name."""
        folder = data_paths.cleaned(name)
        start = f"{folder}/" if folder else ""
        if folder and not any(one.startswith(start) for one in self.files):
            raise NotFoundError(f"{name}: no such data")
        names = {
            start + one[len(start) :].partition("/")[0]
            for one in self.files
            if one.startswith(start)
        }
        wanted = sorted(one for one in names if after is None or one > after)
        page = tuple(self._entry(one) for one in wanted[:limit])
        return DataList(entries=page, next=page[-1].name if len(wanted) > limit else None)

    def changed(self, since: float, until: float | None, limit: int) -> ChangedData:
        """Return the files; all of them have the time stamp 0."""
        within = since <= 0 and (until is None or until >= 0)
        found = [self._entry(one) for one in sorted(self.files)] if within else []
        return ChangedData(entries=tuple(found[:limit]), complete=len(found) <= limit)

    def read(self, name: str, span: ByteRange | None) -> Download:
        """Return a file, or a part of it."""
        cleaned = data_paths.of_file(name)
        if self._is_directory(cleaned):
            raise RefusedError(f"{name}: not a file; list it to see its entries")
        if cleaned not in self.files:
            raise NotFoundError(f"{name}: no such data")
        return download_of(self.files[cleaned], cleaned.rpartition("/")[2], span)

    def write(self, name: str, content: bytes) -> DataEntry:
        """Write a file."""
        cleaned = data_paths.of_file(name)
        if self._is_directory(cleaned):
            raise RefusedError(f"{name}: is a directory; delete it, or use another name")
        self.files[cleaned] = content
        return self._entry(cleaned)

    def delete(self, name: str) -> Deleted:
        """Delete a file, or a directory with its contents."""
        cleaned = data_paths.of_file(name)
        removed = [one for one in self.files if one == cleaned or one.startswith(f"{cleaned}/")]
        if not removed:
            raise NotFoundError(f"{name}: no such data")
        for one in removed:
            del self.files[one]
        return Deleted(name=cleaned)

    def _is_directory(self, name: str) -> bool:
        return any(one.startswith(f"{name}/") for one in self.files)

    def _entry(self, name: str) -> DataEntry:
        if name in self.files:
            return DataEntry(name=name, kind="file", size=len(self.files[name]))
        return DataEntry(name=name, kind="directory")


def download_of(content: bytes, name: str, span: ByteRange | None) -> Download:
    """Return bytes as a download."""
    first, count = (0, len(content)) if span is None else span.within(len(content))

    async def chunks() -> AsyncIterator[bytes]:
        yield content[first : first + count]

    version = hashlib.blake2b(content, digest_size=8).hexdigest()
    return Download(name, len(content), first, count, version, chunks())
