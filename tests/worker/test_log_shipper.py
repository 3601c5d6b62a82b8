"""When output is sent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from tests.fakes.worker import FakeApi, FakeClock, FakeTasks

from conducto_core.workers.model import JOINED_CHUNKS
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.log_shipper import (
    CHUNK_BYTES,
    HEARTBEAT_BYTES,
    LINGER_SECONDS,
    MAX_WAITING,
    UNREAD_SECONDS,
    LogShipper,
)
from conducto_worker.agent.port import WorkerApiError


def shipper() -> tuple[LogShipper, FakeApi, FakeClock]:
    api, clock = FakeApi(), FakeClock()
    made = LogShipper(api, clock)
    made.begin("/a", 1)
    return made, api, clock


def test_a_little_output_lingers_for_a_second() -> None:
    made, api, clock = shipper()
    made.write("stdout", b"a")

    delay = made.step()
    clock.pass_time(delay)
    made.write("stdout", b"b")
    made.step()

    assert delay == LINGER_SECONDS
    assert [api.sent(chunk) for chunk in api.chunks] == [b"ab"]


def test_unread_output_is_sent_less_often() -> None:
    made, api, clock = shipper()
    made.write("stdout", b"first")
    clock.pass_time(made.step())
    made.step()

    made.write("stdout", b"second")
    unread = made.step()
    api.followed = True
    clock.pass_time(unread)
    made.step()
    made.write("stdout", b"third")

    assert (unread, made.step()) == (UNREAD_SECONDS, LINGER_SECONDS)


def test_large_output_is_sent_at_once_in_chunks() -> None:
    made, api, _ = shipper()
    made.write("stderr", b"x" * (2 * CHUNK_BYTES + 5))

    delays = [made.step() for _ in range(3)]

    assert [chunk.offset for chunk in api.chunks] == [0, CHUNK_BYTES]
    assert delays[:2] == [0.0, 0.0]
    assert delays[2] > 0


def test_the_rest_of_an_attempt_does_not_linger() -> None:
    made, api, _ = shipper()
    made.write("stdout", b"a")
    made.write("stderr", b"b")
    made.finish()
    made.begin("/b", 1)
    made.write("stdout", b"c")

    assert made.step() == made.step() == 0.0
    assert [chunk.path for chunk in api.chunks] == ["/a", "/a"]


def test_waits_grow_while_the_api_is_unreachable() -> None:
    made, api, _ = shipper()
    made.write("stdout", b"x" * CHUNK_BYTES)
    api.away = WorkerApiError("503")

    delays = [made.step() for _ in range(6)]

    assert delays == sorted(delays)
    assert delays[0] < delays[-1]


def test_it_is_full_when_too_much_waits() -> None:
    made, api, _ = shipper()
    api.away = WorkerApiError("503")
    made.write("stdout", b"x" * (MAX_WAITING + 1))
    full = made.full
    api.away = None
    made.finish()

    assert made.drain(10)
    assert full
    assert not made.full


def test_draining_gives_up_in_time() -> None:
    made, api, clock = shipper()
    api.away = WorkerApiError("503")
    made.write("stdout", b"x")
    begins = clock.now()

    assert not made.drain(10)
    assert clock.now() - begins < 20


def test_large_output_is_uploaded_and_a_repeated_message_is_the_same() -> None:
    made, api, clock = shipper()
    data = bytes(Random(1).choices(range(32, 127), k=100_000)) + b"\n"
    made.write("stdout", data)
    clock.pass_time(made.step())
    send, tried = api.log, []

    def fail(chunk: Any) -> Any:
        tried.append(chunk)
        raise WorkerApiError("503")

    api.log = fail  # type: ignore[method-assign]
    made.step()
    api.log = send  # type: ignore[method-assign]
    made.write("stdout", b"more\n")
    made.finish()
    assert made.drain(10)

    first, second = api.chunks
    assert first == tried[0], "its first message may have been recorded"
    assert (first.data, first.size, first.lines) == ("", len(data), data.count(b"\n"))
    assert list(map(api.sent, api.chunks)) == [data, b"more\n"]
    assert second.offset == len(data)


def test_heartbeat_carries_a_little_output() -> None:
    made, api, _ = shipper()
    keeper = HeartbeatSender(api, FakeTasks(FakeClock()), made)
    keeper.running("/a", 1)
    made.write("stdout", b"some\n")
    made.write("stderr", b"x" * (HEARTBEAT_BYTES + 1))

    keeper.beat()
    made.write("stdout", b"more\n")
    api.followed = True
    keeper.beat()
    made.write("stdout", b"live\n")

    assert [[api.sent(chunk) for chunk in pulse.chunks] for pulse in api.pulses] == [
        [b"some\n"],
        [b"more\n"],
    ]
    assert made.step() == LINGER_SECONDS, "a client has begun to follow"


def test_output_of_a_failed_heartbeat_is_sent_again() -> None:
    made, api, _ = shipper()
    keeper = HeartbeatSender(api, FakeTasks(FakeClock()), made)
    keeper.running("/a", 1)
    made.write("stdout", b"some\n")
    api.away = WorkerApiError("503")

    keeper.beat()
    api.away = None
    made.finish()
    made.drain(10)

    assert [api.sent(chunk) for chunk in api.chunks] == [b"some\n"]


@pytest.mark.parametrize("rest", [b"", b"rest"])
def test_stream_with_many_chunks_is_ended(rest: bytes) -> None:
    made, api, clock = shipper()
    for _ in range(JOINED_CHUNKS):
        made.write("stdout", b"x\n")
        clock.pass_time(UNREAD_SECONDS)
        made.step()
    made.write("stderr", b"few")
    made.write("stdout", rest)

    made.finish()
    while made.step() == 0:
        pass

    assert [(c.stream, api.sent(c)) for c in api.chunks if c.last] == [("stdout", rest)]


class InterruptedTimes(deque[Any]):
    """Records of times, whose first reader is interrupted by more output."""

    def __init__(self, add: Any) -> None:
        super().__init__()
        self._add = add
        self.thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[Any]:
        records = super().__iter__()
        if self.thread is None:
            self.thread = threading.Thread(target=self._add)
            self.thread.start()
            self.thread.join(0.05)
        return records


def test_output_may_be_added_while_a_chunk_is_made() -> None:
    api, clock, now = FakeApi(), FakeClock(), iter(range(100))
    made = LogShipper(api, clock, lambda: float(next(now)))
    made.begin("/a", 1)
    times = InterruptedTimes(lambda: made.write("stdout", b"b"))
    made._streams["stdout"].times = times
    made.write("stdout", b"a" * CHUNK_BYTES)

    made.step()
    assert times.thread is not None
    times.thread.join()
    made.finish()

    assert made.drain(10)
    data = b"".join(api.sent(chunk) for chunk in api.chunks)
    assert data == b"a" * CHUNK_BYTES + b"b"


def test_result_is_sent_before_the_rest_of_the_output() -> None:
    made, api, _ = shipper()
    for stream in ("stdout", "stderr", "resources", "artifacts", "metrics", "result"):
        made.write(stream, b"x")
    made.finish()

    made.drain(10)

    sent = [chunk.stream for chunk in api.chunks]
    assert sent == ["result", "metrics", "artifacts", "stdout", "stderr", "resources"]


def test_output_in_flight_when_the_command_ends_is_sent_once() -> None:
    made, api, _ = shipper()
    made.write("stdout", b"x" * CHUNK_BYTES)
    send = api.log

    def end(chunk: Any) -> Any:
        api.log = send  # type: ignore[method-assign]
        made.write("result", b"1")
        made.finish()
        return send(chunk)

    api.log = end  # type: ignore[method-assign]

    for _ in range(4):
        made.step()

    assert [chunk.stream for chunk in api.chunks] == ["stdout", "result"]


def test_rejected_output_of_an_earlier_attempt_is_not_lost_output_of_the_next() -> None:
    made, api, _ = shipper()
    made.write("stdout", b"x")
    made.finish()
    made.begin("/a", 2)
    api.refused = {"stdout"}

    made.drain(10)

    assert made.failure is None


def test_chunks_have_the_times_of_their_output() -> None:
    api, clock, now = FakeApi(), FakeClock(), [100.0]
    made = LogShipper(api, clock, lambda: now[0])
    made.begin("/a", 1)
    for data in (b"one\n", b"two\n", b"x" * CHUNK_BYTES, b"end\n"):
        made.write("stdout", data)
        now[0] += 0.3
    made.write("resources", b"{}")
    made.finish()
    made.drain(10)

    times = {(chunk.stream, chunk.offset): chunk.times for chunk in api.chunks}
    assert times == {
        ("stdout", 0): ((0, 100.0), (8, 100.6)),
        ("stdout", CHUNK_BYTES): ((8, 100.6),),
        ("resources", 0): (),
    }
