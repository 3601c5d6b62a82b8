"""The lists of files that were copied into images, to name those that differ."""

import gzip
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from conducto_core.images.contexts import Context, Digests
from conducto_core.programs.rules.fingerprints import changed_files

#: Their directory below the cache of images.
MANIFESTS = "manifests"
#: Maximum number of manifests that are kept; the oldest are deleted.
MAX_KEPT = 500
_DIGITS = 12


class Manifests:
    """Manifests, one file for each content: ``{path: digest of mode and content}``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, code: str, context: Context, digests: Digests, env: Mapping[str, str]) -> None:
        """Keep the manifest of copied files under their identity; failures are ignored.

        Raises:
            ContextError: A file cannot be read.
        """
        path = self._path(code)
        with suppress(OSError):
            os.utime(path)
            return
        files = {f"the variable {name}": value for name, value in env.items()}
        for entry in context.entries:
            if not stat.S_ISDIR(entry.mode):
                content = digests.digest(entry) if entry.link is None else entry.link
                files[entry.path] = f"{entry.mode & 0o111:o} {content[:_DIGITS]}"
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}")
            data = json.dumps(files, ensure_ascii=True).encode()
            temporary.write_bytes(gzip.compress(data, compresslevel=1))
            temporary.replace(path)
            self._delete_oldest()

    def changed(self, before: str, now: str) -> list[str]:
        """Return the files that differ between two identities; none if one is not known."""
        old, new = self._read(before), self._read(now)
        return [] if old is None or new is None else changed_files(old, new)

    def files(self, code: str) -> dict[str, str] | None:
        """Return the manifest of copied files; None if it is not known any more."""
        return self._read(code)

    def _read(self, code: str) -> dict[str, str] | None:
        if not code:
            return {}
        try:
            files = json.loads(gzip.decompress(self._path(code).read_bytes()))
        except (OSError, EOFError, ValueError):
            return None
        return files if isinstance(files, dict) else None

    def _path(self, code: str) -> Path:
        return self._directory / f"{code}.json.gz"

    def _delete_oldest(self) -> None:
        found = sorted(self._directory.glob("*.json.gz"), key=lambda path: path.stat().st_mtime)
        for path in found[:-MAX_KEPT]:
            path.unlink(missing_ok=True)
