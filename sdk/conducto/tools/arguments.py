"""The arguments of the small tools: every parameter is positional or an option.

``tool command a b``, ``tool command --name a --file=b`` and mixtures are equivalent; ``_`` and
``-`` in an option's name are the same. A lone ``-`` or ``-x`` is a value, because names of data may
start with a dash; after ``--`` every argument is a value.
"""

from __future__ import annotations

import os
import sys

from conducto.errors import UsageError
from conducto.wire.printable import printable_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Dict, Optional


class ToolCommand:
    """The parameters of a sub-command.

    Attributes:
        required: Parameters that must be given, in positional order.
        optional: Further positional parameters that may be given.
        flags: Options without a value, as ``--x`` and ``--no-x``.
    """

    def __init__(
        self, required: Sequence[str] = (), optional: Sequence[str] = (), flags: Sequence[str] = ()
    ) -> None:
        self.required = tuple(required)
        self.optional = tuple(optional)
        self.flags = tuple(flags)

    def usage(self) -> str:
        """Return the parameters as a line of help."""
        parts = [name.upper() for name in self.required]
        parts += [f"[{name.upper()}]" for name in self.optional]
        parts += [f"[--{flag}]" for flag in self.flags]
        return " ".join(part.replace("_", "-") for part in parts)

    def parse(self, words: Sequence[str], options: Sequence[str] = ()) -> Parsed:
        """Return the values of a command line; ``options`` are accepted by name only.

        Raises:
            UsageError: an argument is unknown, missing, repeated or superfluous.
        """
        parsed = Parsed()
        waiting = list(words)
        positional = []
        while waiting:
            word = waiting.pop(0)
            if word == "--":
                positional += waiting
                break
            if word.startswith("--"):
                self._take_option(word, waiting, options, parsed)
            else:
                positional.append(word)
        free = [name for name in self.required + self.optional if name not in parsed.values]
        if len(positional) > len(free):
            raise UsageError(f"unexpected argument {positional[len(free)]!r}")
        for name, value in zip(free, positional):  # noqa: B905 - Python 3.8; lengths checked above
            _set(parsed, name, value)
        missing = [name for name in self.required if name not in parsed.values]
        if missing:
            raise UsageError(f"missing argument {missing[0].replace('_', '-').upper()}")
        return parsed

    def _take_option(
        self, word: str, waiting: list[str], options: Sequence[str], parsed: Parsed
    ) -> None:
        name, equals, value = word[2:].partition("=")
        key = name.replace("-", "_")
        flag = key[len("no_") :] if key.startswith("no_") else key  # noqa: FURB188 - Python 3.8
        if flag in self.flags and key not in self.required + self.optional:
            if equals:
                raise UsageError(f"--{name} takes no value, got {value!r}")
            parsed.flags[flag] = flag == key
            return
        if key not in (*self.required, *self.optional, *options):
            raise UsageError(f"unknown option {word!r}; {self._option(options)}")
        if not equals:
            if not waiting:
                raise UsageError(f"{word} needs a value")
            value = waiting.pop(0)
        _set(parsed, key, value)

    def _option(self, options: Sequence[str]) -> str:
        names = [*self.required, *self.optional, *options]
        names += [form for flag in self.flags for form in (flag, f"no_{flag}")]
        known = ", ".join("--" + name.replace("_", "-") for name in names)
        return f"the options are {known}" if known else "it has no options"


class Parsed:
    """The values of a command line.

    Attributes:
        values: ``{parameter: text}`` of the given ones.
        flags: ``{flag: True for --x, False for --no-x}``.
    """

    def __init__(self) -> None:
        self.values: Dict[str, str] = {}
        self.flags: Dict[str, bool] = {}

    def get(self, name: str) -> Optional[str]:
        """Return a value, or ``None`` if it was not given."""
        return self.values.get(name)


def _set(parsed: Parsed, name: str, value: str) -> None:
    if name in parsed.values:
        raise UsageError(f"{name.replace('_', '-')} is given twice")
    parsed.values[name] = value


# ----------------------------------------------------------------------------------------
# The error handling of the small tools: an error becomes one line and an exit code.


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
