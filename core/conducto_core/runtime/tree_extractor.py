"""Extraction of the tree that a Lazy's command prints from its output stream."""

import base64
from typing import Any, Final

from conducto_core.model.form_codec import unpack_tree

OPEN: Final = b"<__conducto_serialization>"
CLOSE: Final = b"</__conducto_serialization>"
#: Maximum bytes of a printed tree, packed; 100,000 Execs take about 1 MB.
MAX_PACKED: Final = 64 << 20


class PrintedTreeError(Exception):
    """The printed tree is invalid; the message has the reason and a remedy."""


class TreeExtractor:
    """Splits an output stream into visible output and the block with a tree."""

    def __init__(self) -> None:
        self.blocks = 0
        self._inside = False
        self._held = b""
        self._body = bytearray()
        self._too_large = False

    def feed(self, chunk: bytes) -> bytes:
        """Return the visible part of ``chunk`` and of the held text."""
        data = self._held + chunk
        shown = bytearray()
        while True:
            tag = CLOSE if self._inside else OPEN
            at = data.find(tag)
            if at < 0:
                keep = _partial(data, tag)
                self._take(data[: len(data) - keep], shown)
                self._held = data[len(data) - keep :]
                return bytes(shown)
            self._take(data[:at], shown)
            data = data[at + len(tag) :]
            self._inside = not self._inside
            if self._inside:
                self.blocks += 1
                self._body.clear()

    def finish(self) -> bytes:
        """Return the held text, at the end of the stream."""
        held, self._held = self._held, b""
        return b"" if self._inside else held

    def tree(self) -> dict[str, Any]:
        """Return the one printed tree, as the JSON object of the wire form.

        Raises:
            PrintedTreeError: there is none, or there are several, or it is invalid or too large.
        """
        if not self.blocks:
            raise PrintedTreeError(
                "printed no tree; a Lazy's function must return a node and declare it "
                "(-> co.Serial), a Lazy's command must print a serialised tree"
            )
        if self.blocks > 1:
            raise PrintedTreeError(f"printed {self.blocks} trees; a Lazy must print exactly one")
        if self._inside:
            raise PrintedTreeError("printed an incomplete tree; was the command interrupted?")
        if self._too_large:
            raise PrintedTreeError(f"printed a tree of over {MAX_PACKED >> 20} MB; make it smaller")
        return _decode(bytes(self._body))

    def _take(self, data: bytes, shown: bytearray) -> None:
        if not self._inside:
            shown += data
        elif len(self._body) + len(data) > MAX_PACKED:
            self._too_large = True
        else:
            self._body += data


def _partial(data: bytes, tag: bytes) -> int:
    """Return how many bytes at the end of ``data`` may be the start of ``tag``."""
    for size in range(min(len(tag) - 1, len(data)), 0, -1):
        if data.endswith(tag[:size]):
            return size
    return 0


def _decode(body: bytes) -> dict[str, Any]:
    try:
        packed = base64.b64decode(b"".join(body.split()), validate=True)
        document = unpack_tree(packed)
    except ValueError as error:
        raise PrintedTreeError(f"printed a broken tree: {error}") from error
    if not isinstance(document, dict):
        raise PrintedTreeError("printed a broken tree: not a JSON object")
    return document
