"""The index of a Git checkout, without what Git rewrites although nothing changed. Pure."""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from typing import Any, Final

#: Paths of an index: of a checkout, of its submodules and of its worktrees.
_PATH = re.compile(r"(.*/)?\.git/(.+/)?index")
_HASHES: Final[tuple[Callable[[bytes], Any], ...]] = (
    partial(hashlib.sha1, usedforsecurity=False),
    hashlib.sha256,
)
_HEADER, _STAT, _MODE = 12, 40, slice(24, 28)
_EXTENDED, _MORE = 0x4000, 0x80
_COMPRESSED = 4


def is_index(path: str) -> bool:
    """Return whether a path of a context may be that of an index."""
    return _PATH.fullmatch(path) is not None


def normalized(index: bytes) -> bytes:
    """Return an index without times, sizes, inode numbers and caches.

    Every ``git status`` may rewrite these, and they are wrong in a copy, where Git compares the
    contents. Anything else is returned as it is: another format, and an index in several files.

    Source: gitformat-index(5).
    """
    for hashed in _HASHES:
        size = hashed(b"").digest_size
        body = index[:-size]
        if index.startswith(b"DIRC") and hashed(body).digest() == index[-size:]:
            try:
                kept = _entries(body, size)
            except (IndexError, ValueError):
                break
            return b"".join((kept, hashed(kept).digest()))
    return index


def _entries(body: bytes, hash_size: int) -> bytes:
    """Return the header and the entries; raises `ValueError` for an unknown format."""
    version, count = (int.from_bytes(body[at : at + 4]) for at in (4, 8))
    if version not in (2, 3, _COMPRESSED):
        raise ValueError(version)
    kept, at = bytearray(body[:_HEADER]), _HEADER
    for _ in range(count):
        flags_at = at + _STAT + hash_size
        extended = int.from_bytes(body[flags_at : flags_at + 2]) & _EXTENDED
        name = flags_at + (4 if extended else 2)
        if version == _COMPRESSED:
            name += 1 + sum(1 for _ in takewhile(lambda byte: byte & _MORE, body[name : name + 9]))
        end = body.index(0, name)
        end = end + 1 if version == _COMPRESSED else at + (end - at + 8 & ~7)
        entry = body[at:end]
        kept += bytes(_MODE.start) + entry[_MODE] + bytes(_STAT - _MODE.stop) + entry[_STAT:]
        at = end
    while at < len(body):
        if not body[at : at + 1].isupper():  # it belongs to the content: the index has more files
            raise ValueError(body[at : at + 4])
        at += 8 + int.from_bytes(body[at + 4 : at + 8])
    return bytes(kept)
