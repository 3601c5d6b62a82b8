"""Frames of concurrent senders are processed in the order of their numbers, each once."""

import pytest

from conducto_core.remote.model import Ack
from conducto_local.remote.connection import FrameOrder


def _numbers(order: FrameOrder, *arriving: int) -> list[int]:
    for number in arriving:
        order.add(Ack(n=number, of=1))
    return [frame.n for frame in order.ready()]


def test_frames_wait_for_earlier_ones() -> None:
    order = FrameOrder()

    assert _numbers(order, 3, 2) == []
    assert order.has_gap
    assert _numbers(order, 1) == [1, 2, 3]
    assert not order.has_gap


def test_repeated_number_is_processed_once() -> None:
    order = FrameOrder()

    assert _numbers(order, 1, 1) == [1]
    assert _numbers(order, 1, 3, 3, 2) == [2, 3]


def test_missing_frames_are_skipped_and_dropped_when_they_are_late() -> None:
    order = FrameOrder()
    _numbers(order, 1, 4)
    order.skip()

    assert _numbers(order) == [4]
    assert _numbers(order, 2, 5) == [5]


def test_number_far_ahead_breaks_the_protocol() -> None:
    with pytest.raises(ValueError, match="frame 5000 arrived while 1 was expected"):
        _numbers(FrameOrder(), 5000)
