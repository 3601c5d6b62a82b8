"""Parts of equal time. No I/O; standard library only, Python 3.8 and later."""

from __future__ import annotations

from heapq import heapify, heapreplace
from posixpath import normpath, splitext
from statistics import median
from typing import Dict, List, Mapping, Optional, Sequence


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
    known = {name: _time_of(name, seconds) for name in files}
    times = [each for each in known.values() if each is not None]
    usual = median(times) if times else 1.0
    # Files without time still take some: a part must not get all of them.
    least = max(usual / 1000, 1e-6)
    loads: Dict[str, float] = {
        name: max(usual if each is None else each, least) for name, each in known.items()
    }
    heap = [(0.0, place) for place in range(number)]
    heapify(heap)
    parts: List[List[str]] = [[] for _ in range(number)]
    for name in sorted(files, key=lambda each: (-loads[each], each)):
        load, place = heap[0]
        parts[place].append(name)
        heapreplace(heap, (load + loads[name], place))
    order = {name: place for place, name in enumerate(files)}
    return [sorted(part, key=order.__getitem__) for part in parts]


def _time_of(file: str, seconds: Mapping[str, float]) -> Optional[float]:
    """Return the seconds of a file: by its path, or of the classes of its module."""
    path = normpath(file)
    found = seconds.get(file, seconds.get(path))
    if found is not None:
        return found
    module = splitext(path)[0].replace("/", ".")
    classes = [each for name, each in seconds.items() if (name + ".").startswith(module + ".")]
    return sum(classes) if classes else None
