"""Reports of errors in a definition: the message and the user's line, without Conducto's frames.

An error that Conducto raised concerns the user's definition: its message is enough. An error that
the user's own code raised is shown with its traceback, without Conducto's frames before it.
``CONDUCTO_GLUE_DEBUG`` in the environment shows everything.
"""

# pathlib is a heavy import.

from __future__ import annotations

import os
import re
import sys

from conducto.errors import (
    MAX_TOLD,
    ConductoError,
    DefinitionError,
    SeveralProblemsError,
    UsageError,
)
from conducto.inspection import call_site
from conducto.tree.text import shown
from conducto.wire.printable import printable_lines, suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import List, Optional, Tuple

FAILED = 1
WRONG = 2  # the definition or the command line is wrong


def debugging() -> bool:
    """Return whether full tracebacks are requested."""
    return bool(os.environ.get("CONDUCTO_GLUE_DEBUG"))


def report(error: Exception, program: str) -> int:
    """Report ``error`` on stderr; return the exit code: 2 for an invalid definition, else 1."""
    if is_lost_reader(error):
        return FAILED
    if isinstance(error, UsageError):
        print(printable_lines(f"{program} : {error}"), file=sys.stderr)  # noqa: T201
        return WRONG
    frames = _frames(error.__traceback__)
    by_us = bool(frames) and call_site.is_ours(frames[-1][0])
    if isinstance(error, ConductoError) or by_us:
        text = _located(error, frames)
        print(printable_lines(text), file=sys.stderr)  # noqa: T201
        return WRONG
    theirs = _without_ours(error.__traceback__)
    error = _with_suggestion(error)
    sys.excepthook(type(error), error.with_traceback(theirs), theirs)
    return FAILED


def is_lost_reader(error: Exception) -> bool:
    """Return whether stdout lost its reader, as with ``| head``, which caused ``error``.

    If so, discard further output; otherwise, Python would flush it at exit and print an error.
    """
    if not isinstance(error, BrokenPipeError):
        return False
    import select  # noqa: PLC0415 - needed on this path only

    poll = select.poll()
    poll.register(sys.stdout, 0)  # a closed pipe is reported anyway
    if not poll.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def warn(text: str, program: str) -> None:
    """Print a warning about the command line on stderr."""
    print(f"{program} : warning: {text}", file=sys.stderr)  # noqa: T201


def _located(error: Exception, frames: List[Tuple[str, int]]) -> str:
    """Return the error with its place in the script; several problems have a line each."""
    if not isinstance(error, SeveralProblemsError):
        return f"{_place(error, frames)}{_message(error)}"
    lines = [_located(each, frames) for each in error.found[:MAX_TOLD]]
    rest = str(error).split("\n")[MAX_TOLD:] if len(error.found) > MAX_TOLD else []
    return "\n".join([*lines, *rest[-1:]])


def _frames(traceback: Optional[TracebackType]) -> List[Tuple[str, int]]:
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith("<frozen "):
            frames.append((code.co_filename, traceback.tb_lineno))
        traceback = traceback.tb_next
    return frames


def _without_ours(traceback: Optional[TracebackType]) -> Optional[TracebackType]:
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if not call_site.is_ours(name):
            return traceback
        traceback = traceback.tb_next
    return None


def _place(error: Exception, frames: List[Tuple[str, int]]) -> str:
    """Return ``"file:line: "`` of the node's creation, or of the user's line that failed."""
    theirs = [frame for frame in frames if not call_site.is_ours(frame[0])]
    file: Optional[str]
    line: Optional[int]
    if isinstance(error, DefinitionError):
        file, line = error.file, error.line
    elif theirs:
        file, line = theirs[-1]
    else:
        return ""
    return "" if file is None else f"{shown(file)}:{line}: "


def _with_suggestion(error: Exception) -> Exception:
    """Return an error for an attribute that nodes and images lack with the most similar one.

    Python suggests private attributes, and in versions before 3.12 none when one is set.
    """
    found = re.match(r"'(\w+)' object has no attribute '(\w+)'", str(error))
    if found is None or not isinstance(error, AttributeError):
        return error
    kind = getattr(sys.modules["conducto"], found[1], None)
    if kind is None:
        return error
    known = [name for name in dir(kind) if not name.startswith("_")]
    return AttributeError(f"{error}{suggestion(found[2], known)}").with_traceback(
        error.__traceback__
    )


def _message(error: Exception) -> str:
    if isinstance(error, KeyError) and not isinstance(error, ConductoError):
        return f"no node or image is called {error}"
    return str(error)
