"""Open files of this process: as many as the system allows, and some in reserve.

Everything that the agent has open counts against one limit: connections of clients, which any
program on the machine can make, and the output of commands, which must not be lost for that.
"""

import contextlib
import errno
import os
import resource
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

#: What is tried where the hard limit is infinite and the system refuses that.
_MANY = 10240
#: Descriptors that output of commands may use when there are no others.
RESERVED = 64
_EXHAUSTED = {errno.EMFILE, errno.ENFILE}


def raise_limit() -> int:
    """Raise the limit of open files to the hard one; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _MANY):
        if soft == hard or (wanted != resource.RLIM_INFINITY and wanted <= soft):
            break
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    return limit()


def limit() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (1 << 20) if soft == resource.RLIM_INFINITY else soft


class Reserve:
    """Descriptors that are kept open so that something else can be opened in their place.

    Args:
        count: How many.
    """

    def __init__(self, count: int = RESERVED) -> None:
        self._count = count
        self._held: list[int] = []
        self._is_used = False

    def fill(self) -> None:
        """Hold as many as there should be, or as there are."""
        self._is_used = True
        with contextlib.suppress(OSError):
            while len(self._held) < self._count:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def refill(self) -> None:
        """Hold those again that were given away; nothing before the first `fill`."""
        if self._is_used:
            self.fill()

    def open(self, work: Callable[[], _T]) -> _T:
        """Return what ``work`` opens, in the place of a descriptor in reserve if need be.

        Raises:
            OSError: it cannot be opened, for want of descriptors or another reason.
        """
        while True:
            try:
                return work()
            except OSError as error:
                if error.errno not in _EXHAUSTED or not self._held:
                    raise
                os.close(self._held.pop())


#: For the output of commands; empty until the agent fills it.
OUTPUT = Reserve()
