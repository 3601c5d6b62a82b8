"""Quarantines and histories of tests, in files of the profile."""

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from conducto.data.files import write_atomically
from conducto_core.test_results.model import Quarantine, QuarantineList
from conducto_local.store.port import DamagedError


class QuarantineFile:
    """A `conducto_core.test_results.handlers.QuarantineStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> Sequence[Quarantine]:
        """Return the quarantines, also those that have ended.

        Raises:
            DamagedError: The file cannot be read.
        """
        try:
            return QuarantineList.model_validate_json(self._path.read_bytes()).quarantines
        except FileNotFoundError:
            return ()
        except ValidationError as error:
            raise DamagedError(
                f"{self._path}: the file is damaged. Delete it and quarantine the tests again"
            ) from error

    def put(self, quarantine: Quarantine) -> None:
        self._write([*self._without(quarantine.name), quarantine])

    def delete(self, name: str) -> bool:
        left = self._without(name)
        is_known = len(left) < len(self.all())
        if is_known:
            self._write(left)
        return is_known

    def _without(self, name: str) -> list[Quarantine]:
        return [each for each in self.all() if each.name != name]

    def _write(self, quarantines: Sequence[Quarantine]) -> None:
        write_file(
            self._path, QuarantineList(quarantines=tuple(quarantines)).model_dump_json().encode()
        )


def write_file(path: Path, content: bytes) -> None:
    """Replace a file, whose directory may be missing."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomically(os.fspath(path), lambda stream: stream.write(content))


def read_file(path: Path) -> bytes | None:
    """Return the content of a file, or None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
