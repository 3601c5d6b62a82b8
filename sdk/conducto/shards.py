"""``co.shard``: splits test files into parts that take equally long."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List

    from conducto.wire.shards import Prediction

#: The prediction of each call of this process, for ``--plan``.
predicted: List[Prediction] = []


def shard(files: Iterable[Any], number: int, by: str = "time") -> List[List[str]]:
    """Return ``number`` lists of files that take equally long; files keep their order.

    The times are those of the tests in earlier pipelines of the script, from their JUnit files
    (``junit=``). A file without tests in them counts as the median. They are known to a script that
    launches, and in a Lazy with ``junit=``, its own or inherited; elsewhere all files count the
    same. Equal files and times give equal lists. ``--plan`` prints the time of the longest list.

    Args:
        files: Paths of the files, as the JUnit files or the names of Python modules have them.
        number: Number of lists; some are empty if there are fewer files.
        by: ``"time"``, or ``"count"`` for lists of equal length.

    Raises:
        ValueError: ``number`` is less than 1, ``by`` is another word, or a file is given twice.
    """
    import os

    from conducto.wire.shards import check, prediction, split

    names = [os.fspath(each) for each in files]
    check(names, number, by)
    seconds = _seconds() if by == "time" else {}
    parts = split(names, number, seconds)
    predicted.append(prediction(parts, seconds))
    return parts


def _seconds() -> Dict[str, float]:
    """Return ``{file: seconds}`` of the tests of this script; empty if they are not known."""
    import os

    from conducto import _host
    from conducto.api import calls
    from conducto.wire.shards import VARIABLE, unpacked

    if calls.in_node():
        return unpacked(os.environ.get(VARIABLE, ""))
    target = calls.of_launch()
    if target is None:
        return {}
    return _host.test_seconds(target, calls.profile_of_launch(), calls.program_of_launch())
