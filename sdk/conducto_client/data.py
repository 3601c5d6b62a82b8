"""The data files of a pipeline or of the user."""

import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, Literal, TextIO, overload

from conducto.errors import ClientError, InvalidArgumentError
from conducto_client.client import Client
from conducto_client.target import Target
from conducto_core.run.model.responses import DataEntry

_CHUNK = 1 << 20
_READ_MODES = ("r", "rb")
_WRITE_MODES = ("w", "wb")


class Data:
    """Files that commands share: those of a pipeline, or those of the user.

    Names are paths below the data, such as ``plots/loss.png``.
    """

    def __init__(self, target: Target, pipeline_id: str | None) -> None:
        self._target = target
        self._id = pipeline_id

    def __repr__(self) -> str:
        return f"<data of {self._owner} ({self._target.name})>"

    @property
    def _owner(self) -> str:
        return "the user" if self._id is None else f"pipeline {self._id}"

    def list(self, directory: str = "") -> tuple[DataEntry, ...]:
        """Return the entries of a directory, by name; `walk` also returns those below it."""
        return self._target.read(lambda client: tuple(client.data(self._id, directory.strip("/"))))

    def walk(self, directory: str = "") -> tuple[DataEntry, ...]:
        """Return the files at any depth of a directory."""
        found: tuple[DataEntry, ...] = ()
        for entry in self.list(directory):
            if entry.kind == "directory":
                found += self.walk(entry.name)
            elif entry.kind == "file":
                found += (entry,)
        return found

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return self._target.read(lambda client: b"".join(client.read_data(self._id, name)))

    def write(self, name: str, content: bytes | str) -> DataEntry:
        """Write a file atomically; return its entry."""
        data = content.encode() if isinstance(content, str) else content
        return self._target.call(lambda client: client.write_data(self._id, name, data))

    @overload
    def open(self, name: str, mode: Literal["rb", "wb"] = "rb") -> BinaryIO: ...
    @overload
    def open(self, name: str, mode: Literal["r", "w"]) -> TextIO: ...
    def open(self, name: str, mode: Literal["r", "rb", "w", "wb"] = "rb") -> BinaryIO | TextIO:
        """Return a file: a copy of the current content, or a new file that is sent when closed.

        Args:
            name: Path below the data.
            mode: ``rb`` (the default), ``r``, ``wb`` or ``w``; text is UTF-8.
        """
        if mode in _READ_MODES:
            copy = self._copy(name)
            return copy if mode == "rb" else io.TextIOWrapper(copy, encoding="utf-8")
        if mode in _WRITE_MODES:
            upload = _Upload(self, name)
            return upload if mode == "wb" else _TextUpload(upload)
        raise InvalidArgumentError(f"mode: {mode!r}; it can be 'r', 'rb', 'w' or 'wb'")

    def _copy(self, name: str) -> BinaryIO:
        file = tempfile.TemporaryFile(prefix="conducto-")  # noqa: SIM115 - the caller closes it
        try:
            self._target.read(lambda client: _write_all(file, client.read_data(self._id, name)))
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def download(self, name: str, to: str | os.PathLike[str] = ".") -> Path:
        """Copy a file, or a directory with its contents, to this machine.

        Args:
            name: Path below the data; ``""`` is all of it.
            to: A directory that exists, to copy into; or the new path.

        Returns:
            The path of the copy.

        Raises:
            ClientError: there is no such file or directory.
        """
        plain, there = name.strip("/"), Path(to)
        if there.is_dir() and plain:
            there /= plain.rpartition("/")[2]
        parent = plain.rpartition("/")[0]
        kinds = {entry.name: entry.kind for entry in self.list(parent)} if plain else {}
        if kinds.get(plain) == "file":
            self._download_file(plain, there)
            return there
        if plain and kinds.get(plain) != "directory":
            raise ClientError(f"{name!r}: the data of {self._owner} has no such file or directory")
        for entry in self.walk(plain):
            self._download_file(entry.name, _below(there, entry.name[len(plain) :]))
        there.mkdir(parents=True, exist_ok=True)
        return there

    def _download_file(self, name: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._copy(name) as source, path.open("wb") as target:
            _write_all(target, _chunks(source))

    def upload(
        self, path: str | os.PathLike[str], name: str | None = None
    ) -> tuple[DataEntry, ...]:
        """Copy a file, or a directory with its contents, from this machine.

        Args:
            path: The file or directory.
            name: Its new path below the data; by default its own name.

        Returns:
            The files that were written.
        """
        here = Path(path)
        prefix = (here.resolve().name if name is None else name).strip("/")
        if here.is_dir():
            files = sorted(each for each in here.rglob("*") if each.is_file())
            named = {each: f"{prefix}/{each.relative_to(here).as_posix()}" for each in files}
        else:
            named = {here: prefix}
        return tuple(self._upload_file(each, new.lstrip("/")) for each, new in named.items())

    def _upload_file(self, path: Path, name: str) -> DataEntry:
        with path.open("rb") as source:
            return self._send(name, source if source.seekable() else io.BytesIO(source.read()))

    def _send(self, name: str, source: IO[bytes]) -> DataEntry:
        def send(client: Client) -> DataEntry:
            source.seek(0)  # a rejected token repeats the call
            return client.write_data(self._id, name, _chunks(source))

        return self._target.call(send)

    def delete(self, name: str) -> None:
        """Delete a file, or a directory with its contents."""
        self._target.call(lambda client: client.delete_data(self._id, name.strip("/")))


class _Upload(io.BufferedRandom):
    """A temporary file that is sent when it is closed, unless its ``with`` block failed."""

    def __init__(self, data: Data, name: str) -> None:
        super().__init__(tempfile.TemporaryFile(prefix="conducto-", buffering=0))  # noqa: SIM115
        self._data = data
        self._name = name
        self.is_wanted = True

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.is_wanted = kind is None
        self.close()

    def close(self) -> None:
        """Send the content and close the file."""
        if self.closed:
            return
        try:
            if self.is_wanted:
                self.flush()
                self.seek(0)
                self._data._send(self._name, self)  # noqa: SLF001
        finally:
            super().close()


class _TextUpload(io.TextIOWrapper):
    """The text form of an upload."""

    def __init__(self, upload: _Upload) -> None:
        super().__init__(upload, encoding="utf-8")
        self._upload = upload

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._upload.is_wanted = kind is None
        self.close()


def _write_all(target: IO[bytes], chunks: Iterator[bytes]) -> None:
    target.seek(0)
    target.truncate()
    for chunk in chunks:
        target.write(chunk)


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _below(root: Path, name: str) -> Path:
    """Return the path of a file below a directory.

    Raises:
        ClientError: it would be elsewhere.
    """
    parts = [part for part in name.split("/") if part]
    if ".." in parts:
        raise ClientError(f"{name!r}: the server named a file outside of the directory")
    return root.joinpath(*parts)
