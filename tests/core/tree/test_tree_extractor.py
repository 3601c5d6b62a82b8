"""A tree extracted from a command's output: the limits of unpacking."""

import base64
import gzip

import pytest

from conducto_core.command.output import CLOSE, OPEN, PrintedTreeError, TreeExtractor
from conducto_core.tree.model import MAX_UNPACKED


def block(text: bytes) -> bytes:
    return OPEN + base64.b64encode(gzip.compress(text, compresslevel=1)) + CLOSE


def test_a_small_block_that_unpacks_to_much_is_refused_before_it_is_unpacked() -> None:
    cutter = TreeExtractor()
    bomb = block(b'{"x": "' + bytes(MAX_UNPACKED) + b'"}')
    cutter.feed(bomb)

    assert len(bomb) < MAX_UNPACKED // 100
    with pytest.raises(PrintedTreeError, match="over 64 MB unpacked"):
        cutter.tree()


def test_a_block_is_cut_out_and_read() -> None:
    cutter = TreeExtractor()

    shown = cutter.feed(b"before " + block(b'{"nodes": []}') + b" after")

    assert shown + cutter.finish() == b"before  after"
    assert cutter.tree() == {"nodes": []}
