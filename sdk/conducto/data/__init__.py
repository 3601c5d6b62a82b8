"""Data that outlives a container: ``co.data.pipeline`` and ``co.data.user``.

The nodes of one pipeline share ``pipeline``; all pipelines of one user share ``user``. Both have
the same methods; names are paths with ``/``, relative to the scope:

>>> import conducto as co
>>> co.data.user.puts("models/best.txt", b"tree 7")      # doctest: +SKIP
>>> co.data.user.gets("models/best.txt")                 # doctest: +SKIP
b'tree 7'

In containers the scopes are the directories ``/conducto/data/pipeline`` and
``/conducto/data/user``, which commands may use directly; see ``location`` for the rest.
"""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH103, PTH110, PTH112, PTH113, PTH118, PTH119, PTH123, PTH208

from __future__ import annotations

import os

from conducto import platforms

if platforms.refusal() is not None:
    raise ImportError(f"co.data: {platforms.refusal()}")

from conducto.data import files
from conducto.data.location import ContextError, refuse_cloud, root_of
from conducto.files import directory
from conducto.wire.data_names import INPUTS, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO, List, Optional, Tuple

__all__ = ["ContextError", "pipeline", "user"]


class _Data:
    """The methods of a scope.

    Besides its own errors, every method raises ``ValueError`` for a name that leads out of the
    scope, ``ContextError`` for pipeline data outside of a pipeline, ``NotAvailableError`` in the
    cloud.
    """

    _scope: str

    @classmethod
    def get(cls, name: str, file: str, local: Optional[bool] = None) -> None:
        """Copy the data called ``name`` to the local ``file``, or into it if it is a directory.

        Args:
            name: Name of the data.
            file: Local path; the file is written atomically.
            local: ``False`` requests the copy in the cloud; the default is any copy.

        Raises:
            FileNotFoundError: There is no such data.
        """
        if local is False:
            refuse_cloud()
        with cls._open(name) as source:
            if os.path.exists(file) and not os.path.isfile(file) and not os.path.isdir(file):
                # Such as /dev/stdout: replacing it would break it for other processes.
                with open(file, "wb") as stream:
                    files.copy_stream(source, stream)
                return
            target = os.path.realpath(file)  # write through a link, as cp does
            if os.path.isdir(target):
                target = os.path.join(target, os.path.basename(clean(name)))
            files.write_atomically(target, lambda stream: files.copy_stream(source, stream))

    @classmethod
    def gets(cls, name: str, *, byte_range: Optional[Sequence[Optional[int]]] = None) -> bytes:
        """Return the content of the data called ``name``.

        Args:
            name: Name of the data.
            byte_range: ``(begin, end)``, the end not included; ``None`` stands for the start or the
                end of the data. A range after the end is empty.

        Raises:
            FileNotFoundError: There is no such data.
            ValueError: The range is not two numbers, or one is below 0.
        """
        with cls._open(name) as stream:
            if byte_range is None:
                return stream.read()
            begin, end = _checked_range(byte_range)
            stream.seek(begin)
            return stream.read() if end is None else stream.read(max(0, end - begin))

    @classmethod
    def put(cls, name: str, file: str, skip_cleanup: bool = False) -> None:
        """Store the content of the local ``file`` as ``name``, replacing earlier content.

        Args:
            name: Name of the data; its parents are created.
            file: Local path, of a file or a pipe.
            skip_cleanup: Accepted for old callers; it has no effect.

        Raises:
            FileNotFoundError: There is no such ``file``.
        """
        del skip_cleanup
        with open(file, "rb") as source:
            cls._put_stream(name, source)

    @classmethod
    def puts(cls, name: str, obj: bytes) -> None:
        """Store ``obj`` as ``name``, replacing earlier content.

        Raises:
            ValueError: ``obj`` is not of type bytes.
        """
        if not isinstance(obj, bytes):
            raise ValueError(f"Expected object of type bytes, but got {obj!r:.200}")  # noqa: TRY004 - contract
        cls._write(name, lambda stream: stream.write(obj))

    @classmethod
    def delete(cls, name: str, recursive: bool = False) -> None:
        """Remove a file, or with ``recursive`` a directory and everything below it.

        Raises:
            FileNotFoundError: There is no such data.
            IsADirectoryError: It is a directory and ``recursive`` is false.
        """
        root, parts = cls._resolve(_of_file(name), last_too=False)
        try:
            with directory.Opened(root, parts[:-1]) as above:
                directory.remove(parts[-1], above, recursive=recursive)
        except FileNotFoundError:
            raise cls._missing(name) from None

    @classmethod
    def list(cls, prefix: str) -> List[str]:
        """Return the names directly below the directory ``prefix``, sorted, with the prefix.

        The result is empty if there is no such directory. The prefix ``""`` is the whole scope.
        """
        try:
            with directory.Opened(*cls._resolve(prefix)) as fd:
                names = os.listdir(fd)
        except (FileNotFoundError, NotADirectoryError):
            return []
        start = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
        shown = [name for name in names if not name.startswith(directory.TEMPORARY_PREFIX)]
        return sorted(start + name for name in shown)

    @classmethod
    def exists(cls, name: str) -> bool:
        """Return whether there is a file or directory of that name."""
        try:
            return directory.stat_below(*cls._resolve(name)) is not None
        except OSError:
            return False

    @classmethod
    def size(cls, name: str) -> int:
        """Return the size of a file in bytes.

        Raises:
            FileNotFoundError: There is no such data.
            IsADirectoryError: It is a directory.
        """
        try:
            found = directory.stat_below(*cls._resolve(name))
        except FileNotFoundError:
            raise cls._missing(name) from None
        if directory.is_directory(found):
            raise IsADirectoryError(21, "Is a directory", name)
        return found.st_size

    @classmethod
    def url(cls, name: str, path_only: bool = True) -> str:
        """Return the web app's address of the data, for links and images in markdown.

        Args:
            name: The data; it need not exist yet.
            path_only: ``False`` adds the server's address.

        Raises:
            ContextError: There is no pipeline, or its server's address is unknown.
        """
        pipeline_id = os.environ.get("CONDUCTO_PIPELINE_ID")
        if not pipeline_id:
            raise ContextError(
                "The url of data requires a pipeline: CONDUCTO_PIPELINE_ID is not set. "
                "Try using it from a child node."
            )
        from urllib.parse import quote  # noqa: PLC0415 - slow to import, rarely needed

        path = f"/gw/manager/data/{quote(pipeline_id)}/{cls._scope}/{quote(clean(name))}"
        if path_only:
            return path
        base = os.environ.get("CONDUCTO_AUTO_URL")
        if not base:
            raise ContextError(
                "The whole url of data requires the server's address: CONDUCTO_AUTO_URL is "
                "not set. Use path_only=True for the path."
            )
        return base.rstrip("/") + path

    @classmethod
    def cache_exists(cls, name: str, checksum: str) -> bool:
        """Return whether a directory was saved under that name and checksum."""
        return cls.exists(_cache_name(name, checksum))

    @classmethod
    def clear_cache(cls, name: str, checksum: Optional[str] = None) -> None:
        """Remove one saved directory, or without a checksum all of that name.

        Raises:
            FileNotFoundError: Nothing is saved under the given checksum.
        """
        if checksum is not None:
            cls.delete(_cache_name(name, checksum))
        elif cls.exists(_cache_directory(name)):
            cls.delete(_cache_directory(name), recursive=True)

    @classmethod
    def save_cache(cls, name: str, checksum: str, save_dir: str) -> None:
        """Save a directory, under its base name, for ``restore_cache``.

        Args:
            name: Name of the cache; may contain ``/``.
            checksum: A value that its content depends on, such as the hash of a lock file.
            save_dir: The directory.

        Raises:
            FileNotFoundError: There is no such directory.
        """
        from conducto.data import archive  # noqa: PLC0415 - tarfile is slow to import

        cls._write(_cache_name(name, checksum), lambda stream: archive.pack(save_dir, stream))

    @classmethod
    def restore_cache(cls, name: str, checksum: str, restore_dir: str) -> None:
        """Unpack a saved directory.

        It is created under its base name in ``restore_dir``; if ``restore_dir`` has that name, it
        is the directory itself.

        Raises:
            FileNotFoundError: Nothing was saved under that name and checksum.
            ValueError: The cache is damaged or unsafe to unpack.
        """
        from conducto.data import archive  # noqa: PLC0415 - tarfile is slow to import

        try:
            stream = cls._open(_cache_name(name, checksum))
        except (FileNotFoundError, IsADirectoryError):
            raise FileNotFoundError("Cache not found") from None
        with stream:
            archive.unpack(stream, restore_dir)

    @classmethod
    def _resolve(cls, name: str, *, last_too: bool = True) -> Tuple[str, List[str]]:
        """Return the directory of the scope, and the parts of a name below it."""
        root, parts = root_of(cls._scope), clean(name).split("/")
        try:
            return root, directory.resolve(root, parts, last_too=last_too)
        except directory.OutsideError:
            # A cached command sees links to its inputs.
            inputs = f"{INPUTS}/{cls._scope}/"
            real = os.path.realpath(os.path.join(root, *parts))
            if not last_too or not real.startswith(inputs):
                raise
            parts = real[len(inputs) :].split("/")
            return inputs, directory.resolve(inputs, parts, last_too=True)

    @classmethod
    def _open(cls, name: str) -> IO[bytes]:
        try:
            return directory.open_below(*cls._resolve(name))
        except FileNotFoundError:
            raise cls._missing(name) from None

    @classmethod
    def _put_stream(cls, name: str, source: IO[bytes]) -> None:
        cls._write(name, lambda stream: files.copy_stream(source, stream))

    @classmethod
    def _write(cls, name: str, write: Callable[[IO[bytes]], object]) -> None:
        root, parts = cls._resolve(_of_file(name), last_too=False)
        # With the umask's permissions: directories above, such as /tmp, may be shared with other
        # users.
        os.makedirs(root, exist_ok=True)
        with directory.Opened(root, parts[:-1], make=True) as above:
            cls._replace(parts[-1], above, write)

    @staticmethod
    def _replace(name: str, above: int, write: Callable[[IO[bytes]], object]) -> None:
        with directory.Replacement(name, above) as new:
            with os.fdopen(new.fd, "wb", closefd=False) as stream:
                write(stream)
            new.commit()

    @classmethod
    def _missing(cls, name: str) -> FileNotFoundError:
        return FileNotFoundError(2, f"No such {cls._scope} data", name)


class pipeline(_Data):  # noqa: N801 - the name is part of the public API
    """Data shared by the nodes of one pipeline; it stays when nodes are reset."""

    _scope = "pipeline"


class user(_Data):  # noqa: N801 - the name is part of the public API
    """Data shared by every pipeline of one user."""

    _scope = "user"


def _of_file(name: str) -> str:
    if not clean(name):
        raise ValueError(f"{name!r} cannot be a name of data: it names no file.")
    return name


def _checked_range(byte_range: Sequence[Optional[int]]) -> tuple[int, Optional[int]]:
    try:
        begin, end = byte_range
    except (TypeError, ValueError) as error:
        raise ValueError(f"byte_range must be (begin, end), got {byte_range!r}") from error
    first = 0 if begin is None else begin
    if first < 0 or (end is not None and end < 0):
        raise ValueError(f"byte_range must not be negative, got {byte_range!r}")
    return first, end


def _cache_directory(name: str) -> str:
    cleaned = clean(name)
    if not cleaned:
        raise ValueError(f"{name!r} cannot be the name of a cache")
    return f"conducto-cache/{cleaned}"


def _cache_name(name: str, checksum: object) -> str:
    if not isinstance(checksum, str) or not checksum or "/" in checksum:
        raise ValueError(f"{checksum!r} cannot be the checksum of a cache: it must hold no '/'")
    # ".tar.gz" although it is not compressed, so that caches of earlier versions are found.
    return f"{_cache_directory(name)}/{checksum}.tar.gz"
