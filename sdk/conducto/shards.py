"""``co.shard``: splits test files into parts that take equally long."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List


def shard(files: Iterable[Any], number: int, by: str = "time") -> List[List[str]]:
    """Return ``number`` lists of files that take equally long; files keep their order.

    The times are those of the tests in earlier pipelines of the script, from their JUnit files
    (``junit=``). A file without tests in them counts as the median. They are known to a script that
    launches; when it only prints the tree, and in a command, all files count the same. Equal files
    and times give equal lists.

    Args:
        files: Paths of the files, as the JUnit files or the names of Python modules have them.
        number: Number of lists; some are empty if there are fewer files.
        by: ``"time"``, or ``"count"`` for lists of equal length.

    Raises:
        ValueError: ``number`` is less than 1, ``by`` is another word, or a file is given twice.
    """
    import os

    from conducto.wire.shards import check, split

    names = [os.fspath(each) for each in files]
    check(names, number, by)
    return split(names, number, _seconds() if by == "time" else {})


def _seconds() -> Dict[str, float]:
    """Return ``{file: seconds}`` of the tests of this script; empty if it launches nothing."""
    from conducto import _host
    from conducto.api import calls

    target = calls.of_launch()
    return {} if target is None else _host.test_seconds(target, calls.profile_of_launch())
