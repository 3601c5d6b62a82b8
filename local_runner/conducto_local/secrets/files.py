"""The files of a profile's secrets: private, replaced as a whole, locked for changes."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from conducto_core.ports.secret_store import SecretStoreError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

#: Identifies a version of a file; None if there is no file.
Fingerprint = tuple[int, int, int] | None


class PrivateDirectory:
    """A directory that only its owner can access, created on the first write.

    Every method raises `SecretStoreError` on errors of the file system.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = str(path)

    def fingerprint(self, name: str) -> Fingerprint:
        """Return a value that changes whenever the file is replaced."""
        try:
            found = os.stat(f"{self._text}/{name}")  # noqa: PTH116  called for each command
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failure("read", error) from error
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failure("read", error) from error

    def write(self, name: str, data: bytes) -> None:
        """Replace a file atomically, for readers and for crashes."""
        target, new = self.path / name, self.path / f"{name}.new"
        try:
            descriptor = os.open(
                new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE
            )
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, FILE_MODE)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            new.replace(target)
        except OSError as error:
            raise self._failure("written to", error) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Prevent changes by other processes during the block."""
        try:
            self.path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            self.path.chmod(DIRECTORY_MODE)
            descriptor = os.open(
                self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE
            )
        except OSError as error:
            raise self._failure("written to", error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _failure(self, what: str, error: OSError) -> SecretStoreError:
        return SecretStoreError(
            f"the secrets in {self.path} cannot be {what} ({error.strerror}); "
            "check its owner and permissions"
        )
