"""Output of commands as lines of the live view: its colours stay, nothing else of it acts."""

import re
from collections.abc import Iterable, Iterator

from conducto_cli.text.text import Line, Span, printable

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
        spans: list[Span] = []
        at = 0
        shown = line.rstrip("\r").rpartition("\r")[2]
        for found in _SEQUENCE.finditer(shown):
            spans.append(_span(shown[at : found.start()], style))
            at = found.end()
            if found[2] == "m":
                style = _next_style(style, found[1])
        spans.append(_span(shown[at:], style))
        yield tuple(span for span in spans if span.text)


def _span(text: str, style: str) -> Span:
    return Span(printable(text.expandtabs(_TAB)), sgr=style)


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
