"""Bytes of a terminal as keys."""

import os
import pty
import queue
import termios
import threading
import tty

import pytest

from conducto_cli.view.live_view import Decoder, keys_of


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"j", ["j"]),
        (b"jk?", ["j", "k", "?"]),
        (b"\x1b[A\x1bOB", ["up", "down"]),
        (b"\x1b[5~\x1b[6~", ["page up", "page down"]),
        (b"\r \n", ["enter", "space", "enter"]),
        (b"\x1b[1;5Cq", ["q"]),
        (b"\x1bq", ["q"]),
        (b"\x00\xffq", ["q"]),
        (b"\x04", ["q"]),
    ],
)
def test_keys_have_names(data: bytes, keys: list[str]) -> None:
    assert list(Decoder().feed(data)) == keys


def test_key_sequence_may_arrive_in_parts() -> None:
    decoder = Decoder()

    found = [key for byte in b"\x1b[5~j" for key in decoder.feed(bytes([byte]))]

    assert found == ["page up", "j"]


def test_a_lone_escape_is_the_key_when_nothing_follows() -> None:
    decoder = Decoder()
    before = list(decoder.feed(b"\x1b"))

    assert (before, decoder.is_waiting) == ([], True)
    assert list(decoder.flush()) == ["escape"]


def test_keys_are_read_in_a_thread_until_the_block_ends() -> None:
    reading, writing = os.pipe()
    pressed: queue.SimpleQueue[str] = queue.SimpleQueue()

    with keys_of(reading, pressed.put):
        os.write(writing, b"j\x1b")
        told = [pressed.get(timeout=5), pressed.get(timeout=5)]
    os.write(writing, b"k")

    assert told == ["j", "escape"]
    assert pressed.empty()
    os.close(reading)
    os.close(writing)


def test_closed_terminal_ends_the_reading() -> None:
    reading, writing = os.pipe()

    with keys_of(reading, lambda _key: None):
        os.close(writing)

    os.close(reading)


def test_discarded_keys_do_not_block_the_reader() -> None:
    keyboard, terminal = pty.openpty()
    tty.setcbreak(terminal)

    def type_and_drop() -> None:
        with keys_of(terminal, lambda _key: None):
            for _ in range(20_000):
                os.write(keyboard, b"j")
                termios.tcflush(terminal, termios.TCIFLUSH)

    typing = threading.Thread(target=type_and_drop, daemon=True)
    typing.start()
    typing.join(timeout=20)

    assert not typing.is_alive()
    os.close(keyboard)
    os.close(terminal)
