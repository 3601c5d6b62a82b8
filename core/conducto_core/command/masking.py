"""Masking of the values of secrets in a stream of output. No I/O.

`Mask` has the values to hide; `Mask.stream` returns the masker of one stream. Besides a value
itself, its usual encodings are found: base64 at each of the three alignments, also with the line
breaks of ``base64`` and ``openssl``, hexadecimal, UTF-16, URL-quoted, in capitals or small letters,
and escaped as in JSON, HTML, a Python text or its bytes, or in a shell's trace. Each line of a
value is also found by itself if it is long enough, but not its encodings.

A long text is searched for in parts, so that at most one part is held back at the end of a chunk,
and the work per byte is limited however long the values are. One regular expression finds positions
at which a part may start, by its first bytes, or at which a chunk ends in the middle of them; the
text there is then compared with the parts that start so. At the end of a part, the next part of its
text is tried first, and belongs to the same mask.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from urllib.parse import quote, quote_plus

MASK = b"********"
#: Minimum characters of a masked value: masking a shorter one would hide too much else.
MIN_CHARACTERS = 4
#: Minimum characters of a line of a value, or of a value whose other cases are masked.
MIN_LINE = 6
#: Minimum bytes of an encoding of a value that is searched for.
MIN_PART = 8
#: Bytes of a part; the last one of a text may be a little longer.
PIECE = 128

_HEAD = 8
#: Line lengths of ``base64`` and ``openssl base64``, and of ``xxd -p``.
_WRAPS = (76, 64)
_HEX_WRAP = 60
#: End of the data, in an expression.
_END = r"\Z"
_URL_SAFE = bytes.maketrans(b"+/", b"-_")

_Trie = dict[int, "_Trie"]


class Mask:
    """The values to hide; short ones are left out (see `can_be_masked`)."""

    def __init__(self, values: Iterable[str]) -> None:
        firsts: set[bytes] = set()
        pairs: set[tuple[bytes, bytes]] = set()
        for value in {value.strip() for value in values if can_be_masked(value)}:
            for text in _shown_as(value):
                pieces = _cut(text)
                firsts.update(pieces)  # so that a part of a long value is also hidden
                pairs.update(pairwise(pieces))
            for text in _disguises(value):
                pieces = _cut(text)
                firsts.add(pieces[0])
                pairs.update(pairwise(pieces))
        self._firsts = _longest_first(firsts)
        self._starts = _expression({piece[:_HEAD] for piece in firsts}) if firsts else None
        self._beginning: dict[bytes, tuple[bytes, ...]] = {}
        found: dict[bytes, set[bytes]] = {}
        for before, behind in pairs:
            found.setdefault(before, set()).add(behind)
        self._next = {before: _longest_first(behind) for before, behind in found.items()}

    def __repr__(self) -> str:
        return f"<Mask of {len(self._firsts)} texts>"

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def stream(self) -> "StreamMasker":
        return StreamMasker(self)

    def text(self, text: str) -> str:
        if not self._firsts:
            return text
        masker = self.stream()
        data = text.encode(errors="surrogatepass")
        return (masker.feed(data) + masker.finish()).decode(errors="surrogatepass")

    def find(self, data: bytes, begin: int) -> tuple[int, bytes]:
        """Return a possible start of a part, from ``begin`` on, and the bytes that matched.

        Without one, the position is the end of ``data``.
        """
        found = None if self._starts is None else self._starts.search(data, begin)
        return (len(data), b"") if found is None else (found.start(), found.group())

    def beginning(self, seen: bytes) -> tuple[bytes, ...]:
        """Return the parts that may start with the match ``seen``, the longest first."""
        known = self._beginning.get(seen)
        if known is None:
            known = tuple(p for p in self._firsts if p.startswith(seen) or seen.startswith(p))
            self._beginning[seen] = known
        return known

    def after(self, piece: bytes) -> tuple[bytes, ...]:
        """Return the parts that can follow ``piece``, the longest first."""
        return self._next.get(piece, ())


class StreamMasker:
    """Masks one stream, chunk by chunk.

    The end of a chunk is held back until the next one if it may be the start of a secret.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._held = b""
        self._last = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the text of ``chunk``, and of the held text, that can be shown now."""
        return self._masked(chunk, final=False) if self._mask else chunk

    def finish(self) -> bytes:
        return self._masked(b"", final=True) if self._held else b""

    def _masked(self, chunk: bytes, *, final: bool) -> bytes:
        data = self._held + chunk
        shown = bytearray()
        done = at = 0  # before `done` all is shown or hidden, before `at` nothing starts
        while at < len(data):
            piece = _piece_at(data, at, self._mask.after(self._last), final=final)
            if piece == b"":
                at, seen = self._mask.find(data, at)
                if at > done:
                    shown += memoryview(data)[done:at]
                    self._last, done = b"", at
                piece = _piece_at(data, at, self._mask.beginning(seen), final=final)
                shown += MASK if piece else b""
            if piece is None:
                break
            self._last = piece
            at += len(piece) if piece else 1
            done = at if piece else done
        else:
            shown += memoryview(data)[done:]
            done = len(data)
        self._held = data[done:]
        return bytes(shown)


def _piece_at(data: bytes, at: int, candidates: Iterable[bytes], *, final: bool) -> bytes | None:
    """Return the first candidate at ``at``, or an empty one; None: wait for more data."""
    left = len(data) - at
    for piece in candidates:
        if data.startswith(piece, at):
            return piece
        if not final and left < len(piece) and piece.startswith(data[at:]):
            return None
    return b""


def can_be_masked(value: str) -> bool:
    """Return whether a value is long enough to be masked."""
    return len(value.strip()) >= MIN_CHARACTERS


def _shown_as(value: str) -> Iterator[bytes]:
    for text in (value, *_lines_of(value)):
        yield text.encode(errors="surrogatepass")


def _lines_of(value: str) -> list[str]:
    """Return the lines of a value of several lines that are long enough."""
    lines = [line.strip() for line in re.split("[\r\n]+", value)]
    return [line for line in lines if len(line) >= MIN_LINE and line != value]


def _disguises(value: str) -> Iterator[bytes]:
    for text in (*_escaped(value), *_in_other_cases(value)):
        yield text.encode(errors="surrogatepass")
    data = value.encode(errors="surrogatepass")
    little, big = (value.encode(f"utf-16-{end}", errors="surrogatepass") for end in ("le", "be"))
    yield little
    yield big
    yield from _hexadecimal_of(data)
    for plain in (data, data + b"\n", little):  # as of ``echo``, and as in PowerShell
        yield from _base64_of(plain)


def _in_other_cases(value: str) -> Iterator[str]:
    if len(value) >= MIN_LINE:
        yield from (value.upper(), value.lower(), value.capitalize(), value.title())
        yield value.swapcase()


def _hexadecimal_of(data: bytes) -> Iterator[bytes]:
    """Yield the hexadecimal form, plain, with separators, and with the line breaks of ``xxd``."""
    plain = data.hex()
    lines = "\n".join(plain[i : i + _HEX_WRAP] for i in range(0, len(plain), _HEX_WRAP))
    escaped = "".join(f"\\x{byte:02x}" for byte in data)
    for text in (plain, data.hex(":"), data.hex(" "), lines):
        yield text.encode()
        yield text.upper().encode()
    yield escaped.encode()


def _escaped(value: str) -> Iterator[str]:
    yield from _in_html(value)
    for quoted in (quote(value, errors="replace"), quote(value, "", errors="replace")):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda code: code.group().lower(), quoted)
    yield quote_plus(value, errors="replace")
    yield from _in_json(value)
    yield from _in_python(value)
    yield value.replace("'", "'\\''")
    yield value.replace("'", "'\"'\"'")


def _in_html(value: str) -> Iterator[str]:
    """Yield the value as HTML text, in the styles of Python, PHP, Go and XML."""
    yield html.escape(value, quote=False)
    escaped = html.escape(value)
    for single in ("&#x27;", "&#39;", "&#039;", "&apos;"):
        yield escaped.replace("&#x27;", single)
    yield escaped.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _in_json(value: str) -> Iterator[str]:
    """Yield the value as JSON text, in the styles of Python, Go, PHP and .NET."""
    for escaped in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield escaped
        yield escaped.replace("/", "\\/")
        yield re.sub("[<>&]", lambda char: f"\\u{ord(char.group()):04x}", escaped)
        yield re.sub(r"\\u[0-9a-f]{4}", lambda code: "\\u" + code.group()[2:].upper(), escaped)


def _in_python(value: str) -> Iterator[str]:
    """Yield the value as ``repr`` and ``ascii`` show it, and ``repr`` of its bytes.

    A text with both kinds of quotes is shown in single ones, which are escaped in it; the value may
    be a part of such a text, or of one in double quotes.
    """
    both = value + "'\""
    in_bytes = repr(both.encode(errors="surrogatepass"))[1:]
    for shown in (repr(both), ascii(both), in_bytes):
        escaped = shown[1:-4]
        yield escaped
        yield escaped.replace("\\'", "'")


def _base64_of(data: bytes) -> Iterator[bytes]:
    """Yield the parts of encodings that do not depend on the bytes before and after ``data``.

    For each alignment, these are the middle, and the whole if nothing follows.
    """
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data)
        whole = encoded[(8 * before + 5) // 6 :]
        middle = encoded[(8 * before + 5) // 6 : 8 * (before + len(data)) // 6]
        for text in (whole, middle):
            if len(text) >= MIN_PART:
                yield text
                yield text.translate(_URL_SAFE)
    encoded = base64.b64encode(data)
    for width in _WRAPS:
        if len(encoded) > width:
            yield b"\n".join(encoded[i : i + width] for i in range(0, len(encoded), width))


def _cut(text: bytes) -> list[bytes]:
    """Return a text in parts; the last one includes a rest that is too short for its own."""
    count = max(1, (len(text) + PIECE - MIN_PART) // PIECE)
    bounds = [*range(0, count * PIECE, PIECE), len(text)]
    return [text[begin:end] for begin, end in pairwise(bounds)]


def _longest_first(pieces: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted(pieces, key=lambda piece: (-len(piece), piece)))


def _expression(heads: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return a pattern that finds any of ``heads``, or the start of one at the end of the data."""
    root: _Trie = {}
    ends: set[int] = set()
    for head in heads:
        node = root
        for byte in head:
            node = node.setdefault(byte, {})
        ends.add(id(node))
    return re.compile(_branches(root, ends).encode("latin-1"), re.DOTALL)


def _branches(node: _Trie, ends: set[int]) -> str:
    """Return the expression for the continuations; the deepest is tried first."""
    ways = []
    for byte, below in sorted(node.items()):
        rest = f"(?:{_branches(below, ends)}|{'' if id(below) in ends else _END})" if below else ""
        ways.append(f"\\x{byte:02x}{rest}")
    return "|".join(ways)
