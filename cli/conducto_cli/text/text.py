"""Text as a terminal shows it: widths in columns, clipping, numbers, durations, styles."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum
from math import inf
from typing import NamedTuple

from conducto.wire import printable as _printable

printable = _printable.printable
printable_lines = _printable.printable_lines
shell_word = _printable.shell_word


class Role(StrEnum):
    """The meaning of a part of a text; the painter gives it a colour."""

    PLAIN = "plain"
    STRONG = "strong"
    FAINT = "faint"
    GOOD = "good"
    BAD = "bad"
    BUSY = "busy"
    WAITING = "waiting"


class TextSpan(NamedTuple):
    """A part of a line.

    Attributes:
        shrinks: Where the line is too long, this is shortened first: a name, which the reader
            knows, before what became of it.
        sgr: Codes of a terminal's style (``31;1``), in place of those of the role.
    """

    text: str
    role: Role = Role.PLAIN
    shrinks: bool = False
    sgr: str = ""


Line = tuple[TextSpan, ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """The signs in front of a node; each state has a shape of its own, not only a colour."""

    done: str
    failed: str
    running: str
    queued: str
    pending: str
    skipped: str
    opened: str
    closed: str
    more: str
    output: str
    cursor: str


UNICODE_MARKS = Marks("✔", "✘", "●", "◌", "○", "⊘", "▾", "▸", "…", "│", "→")
ASCII_MARKS = Marks("+", "x", "*", "~", ".", "-", "v", ">", "...", "|", ">")


def marks_for(encoding: str | None) -> Marks:
    try:
        "".join(astuple(UNICODE_MARKS)).encode("ascii" if encoding is None else encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII_MARKS
    return UNICODE_MARKS


def width(text: str) -> int:
    """Return the columns that ``text`` takes; wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def clip(text: str, columns: int, more: str = "…") -> str:
    """Return ``text``, shortened at its end to fit into ``columns``."""
    if width(text) <= columns:
        return text
    room = columns - width(more)
    if room < 0:
        return ""
    kept = 0
    for index, char in enumerate(text):
        kept += _columns(char)
        if kept > room:
            return text[:index] + more
    return text


def pad(text: str, columns: int) -> str:
    """Return ``text`` with blanks up to ``columns``."""
    return text + " " * max(0, columns - width(text))


def shorten(text: str, columns: int, more: str = "…") -> str:
    """Return ``text``, its middle left out to fit into ``columns``: names often differ at the end.

    >>> shorten("integration_tests_of_module_17", 14)
    'integra…ule_17'
    """
    if width(text) <= columns:
        return text
    tail = max(0, (columns - width(more)) // 2)
    end = len(text)
    while end > 0 and width(text[end - 1 :]) <= tail:
        end -= 1
    head = clip(text[:end] + more, columns - width(text[end:]), more)
    return head + text[end:] if head else clip(text, columns, more)


#: Columns that a name keeps.
_SHORTEST = 12


def _shrunk(line: Line, columns: int, more: str) -> Line:
    """Return ``line`` with its names shortened as far as that makes it fit, and is of use."""
    over = sum(width(span.text) for span in line) - columns
    spans = []
    for span in line:
        text = span.text
        if span.shrinks and over > 0:
            text = text.rstrip()  # blanks that align it go first
            over -= width(span.text) - width(text)
            kept = shorten(text, max(_SHORTEST, width(text) - max(0, over)), more)
            over -= width(text) - width(kept)
            text = kept
        spans.append(span._replace(text=text))
    return tuple(spans)


def wrap(line: Line, columns: int) -> list[Line]:
    """Return ``line`` as lines of at most ``columns``, with nothing left out."""
    lines: list[list[TextSpan]] = [[]]
    left = columns
    for span in printable_line(line):
        text = span.text
        while text:
            kept = _that_fits(text, left)
            if not kept and lines[-1]:
                lines.append([])
                left = columns
                continue
            kept = kept or text[:1]
            lines[-1].append(span._replace(text=kept))
            left -= width(kept)
            text = text[len(kept) :]
    return [tuple(spans) for spans in lines]


def _that_fits(text: str, columns: int) -> str:
    if width(text) <= columns:
        return text
    used = 0
    for index, char in enumerate(text):
        used += _columns(char)
        if used > columns:
            return text[:index]
    return text


def fit(line: Line, columns: int, more: str = "…") -> Line:
    """Return ``line``, its names and then its end shortened to fit into ``columns``."""
    fitted: list[TextSpan] = []
    left = columns
    for span in _shrunk(printable_line(line), columns, more):
        size = width(span.text)
        if size > left:
            fitted.append(span._replace(text=clip(span.text, left, more)))
            break
        fitted.append(span)
        left -= size
    return tuple(fitted)


def printable_line(line: Line) -> Line:
    """Return ``line`` as a terminal may show it: whatever it quotes, only its roles style it."""
    if all(span.text.isprintable() for span in line):
        return line
    return tuple(span._replace(text=printable(span.text)) for span in line)


def text_of(line: Line) -> str:
    """Return a line without its roles, as a terminal may show it."""
    return "".join(span.text for span in printable_line(line))


def count_of(number: int, noun: str) -> str:
    """Return ``1 node`` or ``8,412 nodes``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


# ----------------------------------------------------------------------------------------
# Output of commands as lines of the live view: its colours stay, nothing else of it acts.


#: Escape sequences as ECMA-48 writes them: CSI, then OSC and other strings, then short ones.
_SEQUENCE = re.compile(
    r"\x1b\[([0-9:;<=>?]*)([ -/]*[@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
)
_TAB = 8
#: Codes that others belong to: a colour by its number (5), or by red, green and blue (2).
_COLOURS = frozenset({"38", "48", "58"})
_COLOUR_CODES = {"5": 3, "2": 5}
#: Maximum of codes that are kept from output that never resets its style.
_MAX_CODES = 40


def coloured_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Yield the lines with the colours that their escape sequences ask for.

    A colour holds until it is reset, also over the end of a line. Of a progress bar, which
    writes over itself, its last state is shown.
    """
    style = ""
    for line in lines:
        spans: list[TextSpan] = []
        at = 0
        shown = line.rstrip("\r").rpartition("\r")[2]
        for found in _SEQUENCE.finditer(shown):
            spans.append(_span(shown[at : found.start()], style))
            at = found.end()
            if found[2] == "m":
                style = _next_style(style, found[1])
        spans.append(_span(shown[at:], style))
        yield tuple(span for span in spans if span.text)


def _span(text: str, style: str) -> TextSpan:
    return TextSpan(printable(text.expandtabs(_TAB)), sgr=style)


def _next_style(style: str, codes: str) -> str:
    """Return the codes that hold after another SGR sequence; `0` or nothing takes all back."""
    if re.fullmatch(r"[0-9:;]*", codes) is None:
        return style
    holds = style.split(";") if style else []
    given = codes.split(";")
    at = 0
    while at < len(given):
        kind = given[at + 1] if at + 1 < len(given) else ""
        count = _COLOUR_CODES.get(kind, 1) if given[at] in _COLOURS else 1
        if given[at].strip("0"):
            holds += given[at : at + count]
        else:
            holds = []
        at += count
    return ";".join(holds) if len(holds) <= _MAX_CODES else ""


# ----------------------------------------------------------------------------------------
# A table in plain text.


#: Columns of a value, such as a long variable, beyond which other rows are not aligned with it.
WIDEST = 60


def table(rows: Sequence[Sequence[str]], widest: float = inf) -> Iterator[str]:
    """Yield a line for each row, its cells below those of the row before.

    Args:
        widest: A cell with more columns does not widen the other rows.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [
        max((size for size in map(width, column) if size <= widest), default=0)
        for column in zip(*rows, strict=True)
    ]
    for row in rows:
        yield "  ".join(pad(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip()
