"""Buckets of S3 that commands see as directories: `Bucket`, and the checks of its wire form.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

#: Maximum number of buckets of a command.
MAX_BUCKETS = 8
MODES = ("ro", "rw")
MAX_PATH, MAX_URL = 200, 1024
_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?\Z", re.DOTALL)
#: Directories that Conducto and the system have in containers.
_RESERVED = ("/conducto", "/dev", "/proc", "/sys")
_ABOUT = (
    "buckets must be {{path: co.Bucket(...)}} such as "
    "{{'/data/raw': co.Bucket('s3://acme/raw')}}, with None to remove an inherited one, got {!r}"
)


class Bucket:
    """A bucket, or the objects below a prefix, as a directory of a command.

    Attributes:
        url: ``s3://BUCKET`` or ``s3://BUCKET/PREFIX``.
        mode: ``ro``: the command can read it. ``rw``: it can also change it.
        path: Path of the directory in ``buckets``; "" before it is in one.
    """

    __slots__ = ("mode", "path", "url")

    def __init__(self, url: str, *, mode: str = "ro") -> None:
        """Set the values.

        Raises:
            ValueError: a value is invalid.
        """
        self.path = ""
        self.url = _check_url(url)
        if mode not in MODES:
            raise ValueError(f"mode of a bucket must be 'ro' or 'rw', got {mode!r}")
        self.mode = mode

    def __repr__(self) -> str:
        return f"Bucket({self.url!r}, mode={self.mode!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bucket) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> Tuple[str, str, str]:
        return self.path, self.url, self.mode

    @property
    def name(self) -> str:
        """Name of the bucket."""
        return self.url[len("s3://") :].partition("/")[0]

    @property
    def prefix(self) -> str:
        """The prefix, without slashes around it; "" for all objects."""
        return self.url[len("s3://") :].partition("/")[2]

    def at(self, path: str) -> Bucket:
        """Return the same bucket at a path."""
        made = Bucket(self.url, mode=self.mode)
        made.path = path
        return made

    def to_wire(self) -> Dict[str, Any]:
        """Return the wire form."""
        return {"url": self.url, "mode": self.mode}


Buckets = Dict[str, Optional[Bucket]]


def to_buckets(value: Any) -> Buckets:
    """Return the buckets of a node from its parameter or its wire form.

    Raises:
        ValueError: it is neither, or a path or a value is invalid.
    """
    if not isinstance(value, Mapping):
        raise ValueError(_ABOUT.format(value))  # noqa: TRY004  the caller adds the node's path
    return {_check_path(path): _to_bucket(path, each) for path, each in value.items()}


def merged(above: Sequence[Bucket], own: Buckets) -> Tuple[Bucket, ...]:
    """Return the buckets of a node, with those that it inherits.

    Raises:
        ValueError: there are too many, or a path is inside of another one.
    """
    found = {each.path: each for each in above}
    for path, bucket in own.items():
        found.pop(path, None)
        if bucket is not None:
            found[path] = bucket
    if len(found) > MAX_BUCKETS:
        raise ValueError(
            f"buckets has {len(found)} buckets, with inherited ones; the maximum is {MAX_BUCKETS}. "
            f"Remove one: buckets={{{next(iter(found))!r}: None}}"
        )
    for path in found:
        inner = next((each for each in found if each.startswith(f"{path}/")), None)
        if inner is not None:
            raise ValueError(
                f"buckets: {inner!r} is inside of {path!r}; give each bucket a path of its own"
            )
    return tuple(found.values())


def _to_bucket(path: str, value: Any) -> Optional[Bucket]:
    if value is None:
        return None
    if isinstance(value, Bucket):
        return value.at(path)
    if not isinstance(value, Mapping) or "url" not in value:
        raise ValueError(_ABOUT.format({path: value}))
    try:
        return Bucket(**value).at(path)
    except (TypeError, ValueError) as error:
        raise ValueError(f"bucket at {path!r}: {error}") from error


def _check_path(path: Any) -> str:
    if not isinstance(path, str) or not path.startswith("/") or len(path) > MAX_PATH:
        raise ValueError(
            "the path of a bucket is an absolute path in the container, such as '/data/raw', of "
            f"at most {MAX_PATH} characters, got {path!r}"
        )
    if not _are_names(path[1:].split("/")):
        raise ValueError(
            "the path of a bucket must be without '.', '..', line ends, ':' and empty parts, "
            f"got {path!r}"
        )
    reserved = next((each for each in _RESERVED if f"{path}/".startswith(f"{each}/")), None)
    if reserved is not None:
        raise ValueError(f"the path of a bucket must not be below {reserved}, got {path!r}")
    return path


def _check_url(url: Any) -> str:
    match = _URL.match(url) if isinstance(url, str) and len(url) <= MAX_URL else None
    if match is None:
        raise ValueError(
            f"the address of a bucket is s3://BUCKET or s3://BUCKET/PREFIX, got {url!r}"
        )
    name, prefix = match[1], (match[2] or "").rstrip("/")
    if prefix and not _are_names(prefix.split("/")):
        raise ValueError(
            "the prefix of a bucket must be without '.', '..', line ends, ':' and empty parts, "
            f"got {url!r}"
        )
    return f"s3://{name}/{prefix}" if prefix else f"s3://{name}"


def _are_names(parts: List[str]) -> bool:
    return all(
        part not in ("", ".", "..") and part.isprintable() and ":" not in part for part in parts
    )
