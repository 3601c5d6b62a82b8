"""The cache of a command's results: `Cache`, and the checks of its wire form.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Mapping, Union

from conducto.wire.fields import parse_duration

SCOPES = ("organisation", "user", "pipeline")
#: How a cached command gets its files: read-only links, or private copies.
INPUTS = ("link", "copy")
#: Variable with the path of a node's own directory, which its attempts share.
NODE_DATA = "CONDUCTO_NODE_DATA"
#: Variables that name a pipeline, an attempt or the API; a cached command has none of them.
IDENTITY = (
    "CONDUCTO_PIPELINE_ID",
    "CONDUCTO_NODE",
    "CONDUCTO_ATTEMPT",
    "CONDUCTO_URL",
    "CONDUCTO_AUTO_URL",
    NODE_DATA,
)
MAX_NAMES = 100
_LONGEST = 200
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ABOUT = "cache must be True, False or co.Cache(...), got {!r}"


class Cache:
    """The cache of a command: a command with equal inputs does not run again.

    Attributes:
        reads: Names of the files of the pipeline's data that the command sees, such as ``raw/`` for
            a directory, or ``*.csv``. By default it sees none.
        writes: Names of the files that it writes; by default it can write none.
        inputs: ``link``: the files that it sees are links to read-only files; ``copy``: they are
            copies that it may change.
        salt: A text that counts as an input; change it to run the command again.
        ignore: Names of variables and secrets that do not count as inputs.
        max_age: Seconds after which a result is not used any more; None for no limit.
        scope: The pipelines that use the results: of the ``organisation``, of the ``user``, or this
            ``pipeline``.
        serialize: Of equal commands that may start at the same time, one runs; the others wait for
            its outcome. On a machine only.
    """

    __slots__ = ("ignore", "inputs", "max_age", "reads", "salt", "scope", "serialize", "writes")

    def __init__(
        self,
        *,
        salt: str = "",
        ignore: Iterable[str] = (),
        max_age: Union[float, str, None] = None,
        scope: str = "organisation",
        reads: Iterable[str] = (),
        writes: Iterable[str] = (),
        inputs: str = "link",
        serialize: bool = False,
    ) -> None:
        """Set the values; ``max_age`` is in seconds or a text such as ``30d``.

        Raises:
            ValueError: a value is invalid, or is not available yet.
        """
        if not isinstance(serialize, bool):
            raise ValueError(f"serialize must be True or False, got {serialize!r}")  # noqa: TRY004
        self.serialize = serialize
        if inputs not in INPUTS:
            raise ValueError(f"inputs is one of {', '.join(INPUTS)}, got {inputs!r}")
        self.reads = _check_data("reads", reads)
        self.writes = _check_data("writes", writes)
        self.inputs = inputs
        self.salt = _check_salt(salt)
        self.ignore = check_ignored(ignore)
        self.max_age = None if max_age is None else parse_duration(max_age, "max_age")
        if scope not in SCOPES:
            raise ValueError(f"the scope of a cache is one of {', '.join(SCOPES)}, got {scope!r}")
        self.scope = scope

    def __repr__(self) -> str:
        values = self.to_wire().items()
        return f"Cache({', '.join(f'{name}={value!r}' for name, value in values)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cache) and self.to_wire() == other.to_wire()

    def __hash__(self) -> int:
        return hash(repr(self))

    def to_wire(self) -> Dict[str, Any]:
        """Return the wire form, without values that are the default."""
        form: Dict[str, Any] = {}
        if self.salt:
            form["salt"] = self.salt
        if self.ignore:
            form["ignore"] = list(self.ignore)
        if self.max_age is not None:
            form["max_age"] = self.max_age
        if self.scope != SCOPES[0]:
            form["scope"] = self.scope
        if self.reads:
            form["reads"] = list(self.reads)
        if self.writes:
            form["writes"] = list(self.writes)
        if self.inputs != INPUTS[0]:
            form["inputs"] = self.inputs
        if self.serialize:
            form["serialize"] = True
        return form


def to_cache(value: Any) -> Union[Cache, bool]:
    """Return the cache of a node from its parameter or its wire form; False switches it off.

    Raises:
        ValueError: it is neither True, False, a `Cache` nor its wire form, or a value is invalid.
    """
    if isinstance(value, Cache) or value is False:
        return value
    if value is True:
        return Cache()
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError(_ABOUT.format(value))
    try:
        return Cache(**value)
    except TypeError as error:
        raise ValueError(_ABOUT.format(dict(value))) from error


def check_ignored(value: Any) -> List[str]:
    """Return the names of variables and secrets as a list.

    Raises:
        ValueError: it is not a list of names.
    """
    names = None if isinstance(value, (str, Mapping)) else list(value or ())
    if names is None or len(names) > MAX_NAMES:
        raise ValueError(
            f"ignore must be a list of at most {MAX_NAMES} names such as ['LOG_LEVEL'], "
            f"got {value!r}"
        )
    for name in names:
        if not isinstance(name, str) or not _NAME.match(name):
            raise ValueError(f"ignore has names of variables and secrets, got {name!r}")
    return sorted(set(names))


def check_code(value: Any) -> List[str]:
    """Return the patterns of the files of an image that count, as a list.

    Raises:
        ValueError: it is not a list of patterns, or a pattern leads out of the code.
    """
    return _check_patterns("code", value, "the directory that the image copies")


def _check_data(name: str, value: Any) -> List[str]:
    """Return the patterns of files of the pipeline's data, each once.

    Raises:
        ValueError: it is not a list of patterns, or a pattern leads out of the data.
    """
    found = _check_patterns(name, value, "the pipeline's data")
    for pattern in found:
        parts = pattern.rstrip("/").split("/")
        if not all(parts) or "." in parts or "\0" in pattern:
            about = "has names of files such as 'raw/' or '*.csv'"
            raise ValueError(f"{name} {about}, got {pattern!r}")
    return sorted(set(found))


def _check_patterns(name: str, value: Any, where: str) -> List[str]:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_NAMES:
        raise ValueError(
            f"{name} must be a list of at most {MAX_NAMES} names such as ['src/', '*.py'], "
            f"got {value!r}"
        )
    for pattern in value:
        if not isinstance(pattern, str) or not pattern or len(pattern) > _LONGEST:
            raise ValueError(f"{name} has names of files such as 'src/' or '*.py', got {pattern!r}")
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise ValueError(f"{name} has names below {where}, got {pattern!r}")
    return list(value)


def _check_salt(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(
            f"the salt of a cache is a text of at most {_LONGEST} characters, got {value!r}"
        )
    return value
