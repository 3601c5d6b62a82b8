"""The lists of files that were copied into images, read from the uploaded archives.

The identity of copied code is ``<digest of the archive>+<digest of settings>``, or
``git:<commit>+…`` for a clone, of which only the commit is known.
"""

import gzip
import tarfile
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from io import BytesIO

from chalicelib.run.port import Blobs
from conducto_core.programs.rules.fingerprints import changed_files

#: Maximum bytes of an archive that is read to name files, packed and unpacked.
MAX_PACKED = 64 << 20
MAX_UNPACKED = 256 << 20
_PART = 1 << 20
_GIT = "git:"


class Manifests:
    """Manifests of one organisation.

    Args:
        blobs: Has the archives until they expire.
        key: Returns the key of an archive.
    """

    def __init__(self, blobs: Blobs, key: Callable[[str], str]) -> None:
        self._blobs, self._key = blobs, key
        self._known: dict[str, dict[str, str] | None] = {}

    def changed(self, before: str, now: str) -> list[str]:
        """Return the files that differ between two identities; none if one is not known."""
        old, new = (each.partition("+")[0] for each in (before, now))
        if old == new:
            return ["the variables or the directory of the copied code"]
        if old.startswith(_GIT) and new.startswith(_GIT):
            commits = (each.removeprefix(_GIT)[:10] for each in (old, new))
            return [f"commit {' → '.join(commits)}"]
        files = [self._files(each) for each in (old, new)]
        return [] if files[0] is None or files[1] is None else changed_files(files[0], files[1])

    def files(self, code: str) -> dict[str, str] | None:
        """Return the manifest of copied files; None for a clone, or if it has expired."""
        return self._files(code.partition("+")[0])

    def _files(self, source: str) -> dict[str, str] | None:
        if source not in self._known:
            self._known[source] = self._read(source) if source else {}
        return self._known[source]

    def _read(self, source: str) -> dict[str, str] | None:
        if source.startswith(_GIT):
            return None
        size = self._blobs.size(self._key(source))
        packed = None
        if size is not None and size <= MAX_PACKED:
            packed = self._blobs.get(self._key(source))
        return None if packed is None else manifest_of(packed)


def manifest_of(packed: bytes) -> dict[str, str] | None:
    """Return ``{path: digest of mode and content}`` of an archive; None if it is not readable."""
    files: dict[str, str] = {}
    left = MAX_UNPACKED
    try:
        with (
            gzip.open(BytesIO(packed)) as unpacked,
            tarfile.open(fileobj=unpacked, mode="r|") as tar,
        ):
            for member in tar:
                left -= member.size
                if left < 0:
                    return None
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None:
                    digest = sha256()
                    for part in iter(partial(content.read, _PART), b""):
                        digest.update(part)
                    files[member.name] = f"{member.mode & 0o111:o} {digest.hexdigest()[:12]}"
                elif not member.isdir():
                    files[member.name] = member.linkname
    except (OSError, EOFError, tarfile.TarError):
        return None
    return files
