"""The error handling of the small tools: an error becomes one line and an exit code."""

from __future__ import annotations

import os
import sys

from conducto.errors import UsageError
from conducto.wire.printable import printable_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = 1
USAGE = 2


def run_tool(name: str, usage: str, body: Callable[[], int]) -> int:
    """Return the exit code of ``body``; errors are reported on stderr, in one line.

    With ``CONDUCTO_GLUE_DEBUG`` set, an error is raised with its traceback.
    """
    from conducto.util import env_bool  # noqa: PLC0415 - needed on this path only

    try:
        code = body()
        sys.stdout.flush()
    except UsageError as error:
        print(printable_lines(f"{name}: {error}\n{usage}"), file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        _drop_output()
        return FAILED
    except Exception as error:
        if env_bool("CONDUCTO_GLUE_DEBUG"):
            raise
        print(printable_lines(f"{name}: {_text_of(error)}"), file=sys.stderr)
        return FAILED
    return code


def print_usage(text: str) -> int:
    """Print a usage on stdout, whose reader may have left; return exit code 0."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _drop_output()
    return 0


def _drop_output() -> None:
    """Discard buffered output for a reader that has exited, such as `head`.

    Otherwise, Python would flush it at exit and print an error.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _text_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename!r}"
    return str(error) or type(error).__name__
