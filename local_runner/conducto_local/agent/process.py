"""The limit of open files of this process, and a reserve for output.

Everything that the agent opens counts against one limit: connections of clients, which any program
on the machine can make, and the output of commands, which must not be lost because of them.
"""

import contextlib
import errno
import json
import logging
import logging.handlers
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
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


# ----------------------------------------------------------------------------------------
# Default signal dispositions.
#
# A process that is started in the background, by ``nohup`` or by some CI systems inherits ignored
# signals and passes them to every program it starts: a shell cannot even reset them. Neither
# commands nor the agent could then be interrupted.


#: Signals that Python ignores itself and resets in the programs it starts.
_PYTHONS = {
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ") if hasattr(signal, name)
}


def reset_dispositions() -> None:
    """Reset every ignored signal to its default and unblock all; call it in the main thread."""
    for number in signal.valid_signals() - _PYTHONS:
        if signal.getsignal(number) is signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            with suppress(OSError, ValueError):
                signal.signal(number, default)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


# ----------------------------------------------------------------------------------------
# The agent's log: one line per decision, ``key=value``.


MAX_BYTES = 8 << 20
_PLAIN = re.compile(r"[\w./:@+,-]+\Z")
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class KeyValueFormatter(logging.Formatter):
    """Renders a record as ``time=… level=… logger=… event="…"`` and its extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by the traceback if there is one."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **{k: v for k, v in vars(record).items() if k not in _OWN_FIELDS},
        }
        line = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _plain(value: object) -> str:
    text = str(value)
    return text if _PLAIN.match(text) else json.dumps(text, ensure_ascii=False)


class _OwnOutputHandler(logging.handlers.RotatingFileHandler):
    """Redirects the process's own stdout and stderr when it starts a new file."""

    def doRollover(self) -> None:  # noqa: N802  the name is logging's
        super().doRollover()
        if self.stream is not None:
            for descriptor in (1, 2):
                os.dup2(self.stream.fileno(), descriptor)


def log_to(path: Path | None) -> logging.Handler:
    """Make every logger write to ``path`` (at most two files of 8 MB), or to stderr.

    The caller must close the returned handler.
    """
    handler: logging.Handler
    if path is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        handler = _OwnOutputHandler(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(KeyValueFormatter())
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    return handler
