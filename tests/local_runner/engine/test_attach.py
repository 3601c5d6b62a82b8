"""Separation of a container's output streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto_local.engine.docker.streams import FrameDecoder, PlainDecoder

FRAMES = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=40)))


def _encode(frames: list[tuple[str, bytes]]) -> bytes:
    return b"".join(
        bytes([1 if stream == "stdout" else 2, 0, 0, 0]) + len(data).to_bytes(4, "big") + data
        for stream, data in frames
    )


@given(frames=FRAMES, size=st.integers(1, 60))
def test_streams_are_the_same_wherever_chunks_are_cut(
    frames: list[tuple[str, bytes]], size: int
) -> None:
    decoder = FrameDecoder()
    wire = _encode(frames)
    seen = {"stdout": b"", "stderr": b""}

    for at in range(0, len(wire), size):
        for stream, data in decoder.feed(wire[at : at + size]):
            seen[stream] += data

    for stream, text in seen.items():
        assert text == b"".join(data for name, data in frames if name == stream)


@pytest.mark.parametrize("number", [0, 3])
def test_frames_of_other_streams_are_dropped(number: int) -> None:
    wire = bytes([number, 0, 0, 0, 0, 0, 0, 2]) + b"no" + _encode([("stdout", b"yes")])

    assert list(FrameDecoder().feed(wire)) == [("stdout", b"yes")]


def test_a_terminal_has_no_frames() -> None:
    wire = _encode([("stderr", b"as it is")])

    assert list(PlainDecoder().feed(wire)) == [("stdout", wire)]
