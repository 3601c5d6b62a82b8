"""The limit of open files of this process, and a reserve for output.

Everything that the agent opens counts against one limit: connections of clients, which any program
on the machine can make, and the output of commands, which must not be lost because of them.
"""

import contextlib
import errno
import os
import resource
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

#: Tried if the hard limit is infinite and the system rejects that.
_MANY = 10240
#: Number of descriptors reserved for the output of commands.
RESERVED = 64
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
#: Fraction of all descriptors that connections of clients may use.
CONNECTION_SHARE = 4
#: Descriptors of a command, also while it starts: pipes or sockets, its process, its output.
_PER_COMMAND = 12
#: Descriptors of the agent itself: the store, the engine, notifications, the link.
_OWN = 64


def raise_limit() -> int:
    """Raise the limit of open files to the hard limit; return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _MANY):
        if soft == hard or (wanted != resource.RLIM_INFINITY and wanted <= soft):
            break
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    return limit()


def limit() -> int:
    """Return the maximum number of open files of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (1 << 20) if soft == resource.RLIM_INFINITY else soft


def max_commands() -> int:
    """Return the number of commands at once for which there are descriptors."""
    free = limit() - limit() // CONNECTION_SHARE - RESERVED - _OWN
    return max(1, free // _PER_COMMAND)


class Reserve:
    """Descriptors kept open so that they can be replaced by others when the limit is reached."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self._is_used = False

    def fill(self) -> None:
        """Open descriptors until the reserve is full or the limit is reached."""
        self._is_used = True
        with contextlib.suppress(OSError):
            while len(self._held) < RESERVED:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def refill(self) -> None:
        """Reopen descriptors that were used; does nothing before the first `fill`."""
        if self._is_used:
            self.fill()

    def open(self, work: Callable[[], _T]) -> _T:
        """Call ``work``, which opens a file; if the limit is reached, free a reserved descriptor.

        Raises:
            OSError: It cannot be opened, even with all reserved descriptors.
        """
        while True:
            try:
                return work()
            except OSError as error:
                if error.errno not in EXHAUSTED or not self._held:
                    raise
                os.close(self._held.pop())


#: For the output of commands; empty until the agent fills it.
OUTPUT = Reserve()
