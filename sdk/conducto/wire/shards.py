"""Parts of equal time. No I/O; standard library only, Python 3.8 and later."""

from __future__ import annotations

import base64
import json
import zlib
from heapq import heapify, heapreplace
from posixpath import normpath, splitext
from statistics import median
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

#: Variable of a Lazy with ``junit=``: the times of tests (`packed`).
VARIABLE = "CONDUCTO_TEST_SECONDS"
#: Linux accepts 128 kB in a variable.
_MAX_PACKED = 100_000
_MAX_UNPACKED = 16 << 20


class Prediction(NamedTuple):
    """The expected time of one call of ``co.shard``.

    Attributes:
        seconds: Of its longest part; None if no file has a known time.
    """

    parts: int
    files: int
    seconds: Optional[float]


def packed(seconds: Mapping[str, float]) -> str:
    """Return the value of `VARIABLE`: without the fastest files if it would be too long.

    >>> unpacked(packed({"a": 1.5}))
    {'a': 1.5}
    """
    slowest = sorted(seconds, key=lambda name: (-seconds[name], name))
    while True:
        text = json.dumps({name: seconds[name] for name in slowest})
        value = base64.b64encode(zlib.compress(text.encode())).decode()
        if len(value) <= _MAX_PACKED:
            return value
        slowest = slowest[: len(slowest) * 3 // 4]


def unpacked(value: str) -> Dict[str, float]:
    """Return ``{file: seconds}``; empty without a value."""
    if not value:
        return {}
    data = zlib.decompressobj().decompress(base64.b64decode(value), _MAX_UNPACKED)
    found: Dict[str, float] = json.loads(data)
    return found


def check(files: Sequence[str], number: object, by: object) -> None:
    """Check the arguments of ``co.shard``.

    Raises:
        ValueError: one is invalid.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"shard: number must be a whole number from 1, got {number!r}")
    if by not in ("time", "count"):
        raise ValueError(f"shard: by must be 'time' or 'count', got {by!r}")
    if len(set(files)) < len(files):
        twice = next(name for place, name in enumerate(files) if name in files[:place])
        raise ValueError(f"shard: {twice!r} is given twice; give each file once")


def split(files: Sequence[str], number: int, seconds: Mapping[str, float]) -> List[List[str]]:
    """Return ``number`` parts of the files; each file goes to the part with the least time so far.

    Args:
        files: Different names.
        number: Number of parts.
        seconds: ``{file or class: seconds}``; a file that is not known gets the median.

    >>> split(["a", "b", "c", "d"], 2, {"a": 4, "b": 1, "c": 2})
    [['a'], ['b', 'c', 'd']]
    """
    loads = _loads(files, seconds)
    heap = [(0.0, place) for place in range(number)]
    heapify(heap)
    parts: List[List[str]] = [[] for _ in range(number)]
    for name in sorted(files, key=lambda each: (-loads[each], each)):
        load, place = heap[0]
        parts[place].append(name)
        heapreplace(heap, (load + loads[name], place))
    order = {name: place for place, name in enumerate(files)}
    return [sorted(part, key=order.__getitem__) for part in parts]


def prediction(parts: Sequence[Sequence[str]], seconds: Mapping[str, float]) -> Prediction:
    """Return the expected time of parts of files.

    >>> prediction([["a"], ["b", "c"]], {"a": 4, "b": 1})
    Prediction(parts=2, files=3, seconds=4)
    """
    files = [name for part in parts for name in part]
    is_known = any(_time_of(name, seconds) is not None for name in files)
    loads = _loads(files, seconds)
    longest = max(sum(loads[name] for name in part) for part in parts)
    return Prediction(len(parts), len(files), longest if is_known else None)


def _loads(files: Sequence[str], seconds: Mapping[str, float]) -> Dict[str, float]:
    known = {name: _time_of(name, seconds) for name in files}
    times = [each for each in known.values() if each is not None]
    usual = median(times) if times else 1.0
    # Files without time still take some: a part must not get all of them.
    least = max(usual / 1000, 1e-6)
    return {name: max(usual if each is None else each, least) for name, each in known.items()}


def _time_of(file: str, seconds: Mapping[str, float]) -> Optional[float]:
    """Return the seconds of a file: by its path, or of the classes of its module."""
    path = normpath(file)
    found = seconds.get(file, seconds.get(path))
    if found is not None:
        return found
    module = splitext(path)[0].replace("/", ".")
    classes = [each for name, each in seconds.items() if (name + ".").startswith(module + ".")]
    return sum(classes) if classes else None
