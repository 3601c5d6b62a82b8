"""Lines of output with the path of their node in front, for terminals, pipes and CI systems."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from conducto_cli.text.ansi import coloured_lines
from conducto_cli.text.text import Role, Span, pad, printable, shorten, text_of, width
from conducto_cli.view.merged_output import OutputLine
from conducto_cli.view.painter import coloured

if TYPE_CHECKING:
    import re

#: Colours of paths: those that are readable on light and dark terminals, without red.
_PATH_COLOURS = ("36", "33", "35", "32", "34", "96", "93", "95", "92", "94")
#: Part of a terminal's width that a path may take.
_PATH_PART = 3
#: Number of paths in front of lines that are kept ready.
_PREFIXES = 10_000


@dataclass(slots=True)
class LineStyle:
    """How lines are written.

    Attributes:
        colour: Write colours, those of the output too.
        columns: Width of the terminal, whose lines have aligned paths; None if it is not one.
        path_columns: Width of the longest path.
        paths: Write the path of the node.
        stamps: Write the time: as ISO 8601, or relative to ``origin``; None leaves it out.
        origin: The start of the pipeline.
        as_json: Write an object for each line instead.
    """

    colour: bool = False
    columns: int | None = None
    path_columns: int = 0
    paths: bool = True
    stamps: str | None = None
    origin: float = 0.0
    as_json: bool = False


class LinePrinter:
    """Writes lines of output.

    Args:
        write: Takes a line with its end.
        style: How to write them.
        pattern: Only lines with a match.
        since: Only lines that were read at this time or later.

    Attributes:
        number: Number of lines written.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        style: LineStyle,
        *,
        pattern: "re.Pattern[str] | None" = None,
        since: float = 0.0,
    ) -> None:
        self.number = 0
        self._write = write
        self._style = style
        self._pattern = pattern
        self._since = since
        self._prefixes: dict[tuple[str, int, str], str] = {}
        self._room = style.path_columns
        if style.columns is not None:
            self._room = min(self._room, max(8, style.columns // _PATH_PART))

    def wants(self, line: OutputLine) -> bool:
        """Return whether a line is written."""
        if line.time < self._since:
            return False
        return self._pattern is None or self._pattern.search(_plain(line)) is not None

    def show(self, line: OutputLine) -> None:
        """Write a line, if it is wanted."""
        if self.wants(line):
            self.number += 1
            self._write(f"{self.text(line)}\n")

    def text(self, line: OutputLine) -> str:
        """Return a line as it is written."""
        style = self._style
        if style.as_json:
            return _json(line)
        stamp = self._write_spans(self._stamp(line)) if style.stamps else ""
        key = (line.path, line.attempt, line.stream)
        if key not in self._prefixes:
            if len(self._prefixes) >= _PREFIXES:
                self._prefixes.clear()
            self._prefixes[key] = self._write_spans(self._path(line))
        text = _simple(line.data)
        if text is None:
            text = self._write_spans(_content(line))
        return f"{stamp}{self._prefixes[key]}{text}"

    def _write_spans(self, spans: Sequence[Span]) -> str:
        return coloured(tuple(spans)) if self._style.colour else text_of(tuple(spans))

    def _stamp(self, line: OutputLine) -> list[Span]:
        style = self._style
        if style.stamps is None:
            return []
        relative = style.stamps == "relative"
        text = f"{line.time - style.origin:+9.1f}s" if relative else iso_time(line.time)
        return [Span(f"{text} ", Role.FAINT)]

    def _path(self, line: OutputLine) -> list[Span]:
        if not self._style.paths:
            return []
        text = source_name(line.path, line.attempt)
        if self._style.columns is not None:
            text = pad(shorten(text, self._room), self._room)
        colour = _PATH_COLOURS[crc32(line.path.encode(errors="replace")) % len(_PATH_COLOURS)]
        bar = Span(" | ", Role.BAD if line.stream == "stderr" else Role.FAINT)
        return [Span(text, sgr=colour), bar]


def source_name(path: str, attempt: int) -> str:
    """Return the name of an attempt in front of its lines; the first one is the node's."""
    return printable(path) if attempt == 1 else f"{printable(path)} #{attempt}"


def source_columns(path: str, attempt: int) -> int:
    """Return the width of `source_name`."""
    return width(source_name(path, attempt))


def iso_time(seconds: float) -> str:
    """Return a time with its zone, to a tenth of a second: ``2026-11-27T17:04:05.3+00:00``."""
    tenths = int(seconds * 10)
    moment = time.localtime(tenths // 10)
    zone = time.strftime("%z", moment)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{tenths % 10}{zone[:3]}:{zone[3:]}"


def _simple(data: bytes) -> str | None:
    """Return a line that needs no changes, as most do; None for any other."""
    if not data.isascii():
        return None
    text = data.decode()
    return text if text.isprintable() else None


def _content(line: OutputLine) -> tuple[Span, ...]:
    return next(coloured_lines([line.data.decode(errors="replace")]))


def _plain(line: OutputLine) -> str:
    text = _simple(line.data)
    return "".join(span.text for span in _content(line)) if text is None else text


def _json(line: OutputLine) -> str:
    return json.dumps(
        {
            "time": line.time,
            "path": line.path,
            "attempt": line.attempt,
            "stream": line.stream,
            "text": line.data.decode(errors="replace"),
        }
    )
