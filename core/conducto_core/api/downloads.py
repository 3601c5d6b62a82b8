"""Responses with bytes rather than JSON, whole or in part (RFC 9110, section 14)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote

OCTETS = "application/octet-stream"
_SINGLE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class RangeError(Exception):
    """The requested part lies outside of the content."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the content has {size} bytes, the requested range contains none of them")
        self.size = size


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The part of some content that a request selects.

    Attributes:
        first: First byte; None counts ``last`` bytes from the end.
        last: Last byte, included; None is the end.
    """

    first: int | None
    last: int | None

    def within(self, size: int) -> tuple[int, int]:
        """Return the first byte and the number of bytes, for content of ``size`` bytes.

        Raises:
            RangeError: there are no such bytes.
        """
        if self.first is None:
            count = min(size, 0 if self.last is None else self.last)
            first = size - count
        else:
            first = self.first
            count = (size if self.last is None else min(self.last + 1, size)) - first
        if count <= 0:
            raise RangeError(size)
        return first, count


def parse_range(header: str | None) -> ByteRange | None:
    """Return the part that a ``Range`` header selects, or None for the whole content.

    Units other than bytes and several parts, which a server may ignore, also give None.
    """
    found = None if header is None else _SINGLE.fullmatch(header.strip())
    if found is None:
        return None
    first, last = (int(text) if text else None for text in found.groups())
    if first is None and last is None:
        return None
    if first is not None and last is not None and last < first:
        return None
    return ByteRange(first, last)


@dataclass(frozen=True, slots=True)
class Download:
    """Some content, or a part of it.

    Attributes:
        offset: Position of the first byte of the part.
        count: Bytes of the part.
        version: Differs for two contents that differ, as far as is known without reading them.
        chunks: The bytes; the receiver must iterate or close it.
    """

    name: str
    size: int
    offset: int
    count: int
    version: str
    chunks: AsyncIterator[bytes]

    @property
    def status(self) -> int:
        """200 for the whole content, 206 for a part."""
        return 200 if self.count == self.size else 206

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of the response; a browser saves the content and never shows it."""
        headers = [
            ("content-length", str(self.count)),
            ("content-disposition", f"attachment; filename*=UTF-8''{_quoted(self.name)}"),
            ("accept-ranges", "bytes"),
            ("etag", f'"{self.version}"'),
            ("cache-control", "private, no-cache"),
        ]
        if self.status == 206:  # noqa: PLR2004
            end = self.offset + self.count - 1
            headers.append(("content-range", f"bytes {self.offset}-{end}/{self.size}"))
        return tuple(headers)


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="replace")
