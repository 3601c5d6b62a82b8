"""The first error in the output of a command, and its signature.

The agent and the worker find it when an attempt ends, with this module, and store it with the
attempt. Lines of one cause that differ in numbers, times, addresses or directories have the same
signature.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from conducto_core.run.model.records import FirstError
from conducto_core.run.model.states import Cause

#: Maximum bytes of a signature and characters of an error.
MAX_SIGNATURE: Final = 200
MAX_ERROR: Final = 400
#: Maximum bytes of a stream that are searched.
MAX_SEARCHED: Final = 256 << 20
#: Maximum bytes of a line that are considered, and lines of a Python trace.
_MAX_LINE: Final = 4096
_MAX_TRACE: Final = 200
#: Bytes of the end of a stream that are kept for its last line.
_TAIL: Final = 4096

_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\U000e0000-\U000e007f]"
)
#: Words of which an error line has at least one, in lower case: they are fast to search.
_WORDS: Final = (
    b"error",
    b"exception",
    b"traceback",
    b"fatal",
    b"panic",
    b"fail",
    b"not found",
    b"no such file",
    b"denied",
    b"cannot ",
    b"can't ",
    b"unable to",
    b"timed out",
    b"timeout",
    b"refused",
    b"killed",
    b"missing",
    b"not set",
)
_ERROR = re.compile(
    r"(?<!\d )(?<![\w-])(?:\w*error|\w*exception|traceback|fatal|panic|failed|failure|FAIL)\b"
    r"|not found|no such file|permission denied|access denied|cannot |can't |unable to"
    r"|timed out|timeout|refused|killed|missing|not set",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\s*Traceback \(most recent call last\)")
_LAST_OF_TRACE = re.compile(
    r"(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Warning|Exit|Interrupt|Timeout)\b"
)
_PARTS: Final = (
    (
        re.compile(
            r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII
        ),
        "<time>",
    ),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)+(?=[\w.@+-])"), "<dir>/"),
    (re.compile(r"\d+(?:[.:]\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)

Stream = Literal["stdout", "stderr"]


def clean(text: str) -> str:
    """Return text without escape sequences, control and invisible characters."""
    lines = _ESCAPE.sub("", text.replace("\r\n", "\n")).replace("\r", "\n")
    return _CONTROL.sub("", lines.expandtabs(4))


def signature_of(line: str) -> str:
    """Return an error line without the parts that differ between failures of one cause."""
    for pattern, replacement in _PARTS:
        line = pattern.sub(replacement, line)
    return line.strip().encode()[:MAX_SIGNATURE].decode(errors="ignore")


def is_error(line: str) -> bool:
    """Return whether a line names an error."""
    return _ERROR.search(line) is not None


class _Scan:
    """The search in one stream, of which the output arrives in parts.

    Attributes:
        found: ``(line, its number, its offset)``.
    """

    def __init__(self) -> None:
        self.found: tuple[str, int, int] | None = None
        self._lines = 0
        self._offset = 0
        self._rest = b""
        self._tail = b""
        self._heading: tuple[str, int, int] | None = None

    def feed(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-_TAIL:] if len(data) < _TAIL else data[-_TAIL:]
        if self.found is not None or self._offset > MAX_SEARCHED:
            return
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        if not newline:
            self._rest = rest[-(_MAX_LINE << 4) :]
            self._offset += len(rest) - len(self._rest)
            return
        self._rest = rest
        lower = whole.lower()
        if self._heading is None and not any(word in lower for word in _WORDS):
            self._lines += whole.count(b"\n") + 1
            self._offset += len(whole) + 1
            return
        for line in whole.split(b"\n"):
            self._line(line)
            if self.found is not None:
                return

    def _line(self, data: bytes) -> None:
        place = (clean(data[:_MAX_LINE].decode(errors="replace")), self._lines, self._offset)
        self._lines += 1
        self._offset += len(data) + 1
        if self._heading is not None:
            if _LAST_OF_TRACE.match(place[0]):
                self.found = place
            elif place[1] - self._heading[1] > _MAX_TRACE:
                self.found = self._heading
        elif _HEADING.match(place[0]):
            self._heading = place
        elif is_error(place[0]):
            self.found = place

    def finish(self) -> None:
        if self.found is None and self._rest and self._offset <= MAX_SEARCHED:
            self._line(self._rest)
        if self.found is None:
            self.found = self._heading

    def last(self) -> str:
        """Return the last line that is not empty."""
        lines = clean(self._tail.decode(errors="replace")).splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


class ErrorFinder:
    """Finds the first error in the output of a command, which arrives in parts."""

    def __init__(self) -> None:
        self._scans: Mapping[Stream, _Scan] = {"stderr": _Scan(), "stdout": _Scan()}

    def feed(self, stream: Stream, data: bytes) -> None:
        """Search the next part of a stream, which is masked."""
        if data:
            self._scans[stream].feed(data)

    def result(self) -> FirstError | None:
        """Return the first error: in stderr, in stdout, or the last line; None without output."""
        return next(self._candidates(), None)

    def _candidates(self) -> Iterator[FirstError]:
        for stream, scan in self._scans.items():
            scan.finish()
            if scan.found is not None:
                line, number, offset = scan.found
                yield FirstError(
                    signature=signature_of(line),
                    text=shortened(line.strip(), MAX_ERROR),
                    stream=stream,
                    line=number,
                    offset=offset,
                )
        for stream, scan in self._scans.items():
            line = scan.last()
            if line:
                text = shortened(line, MAX_ERROR)
                yield FirstError(signature=signature_of(line), text=text, stream=stream)


def shortened(line: str, limit: int) -> str:
    """Return a line of at most ``limit`` characters, with a mark in its middle."""
    if len(line) <= limit:
        return line
    side = max(1, (limit - 1) // 2)
    return f"{line[:side]}…{line[-side:]}"


def error_in(text: str) -> FirstError:
    """Return the first error in a short text, such as the message of an image build."""
    finder = ErrorFinder()
    finder.feed("stderr", text.encode())
    found = finder.result() or FirstError(signature="", text="")
    return found.model_copy(update={"stream": None, "line": None, "offset": None})


#: Causes that name themselves: the output does not.
GENERIC: Final = frozenset(
    {
        Cause.TIMEOUT,
        Cause.OUT_OF_MEMORY,
        Cause.KILLED_BY_USER,
        Cause.SPEND_LIMIT,
        Cause.WORKER_LOST,
        Cause.SPOT,
    }
)
#: Causes whose message names the error.
IN_MESSAGE: Final = frozenset({Cause.IMAGE, Cause.LAZY, Cause.INPUT, Cause.SERVICE, Cause.REJECTED})
