"""The live view in a real pseudo terminal."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

PLAYER = Path(__file__).with_name("play_on_terminal.py")
TESTS = Path(__file__).parents[2]


class Session:
    """A program in a terminal of 60 x 12."""

    def __init__(self, ending_nodes: int, **environ: str) -> None:
        self.screen = pyte.Screen(60, 12)
        self._stream = pyte.ByteStream(self.screen)
        path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
        self.child = pexpect.spawn(
            sys.executable,
            [str(PLAYER), str(ending_nodes)],
            env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": path, **environ},
            dimensions=(12, 60),
            timeout=20,
        )

    def wait_for(self, text: str) -> None:
        while text not in "\n".join(self.screen.display):
            self._stream.feed(self.child.read_nonblocking(65536))

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self.child.isalive() or not self.child.flag_eof:
            try:
                self._stream.feed(self.child.read_nonblocking(65536))
            except pexpect.EOF:
                break
        self.child.close()
        return int(self.child.exitstatus)

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]


@pytest.fixture
def started() -> Iterator[list[Session]]:
    sessions: list[Session] = []
    yield sessions
    for session in sessions:
        session.child.close(force=True)


def test_the_last_picture_and_the_verdict_stay(started: list[Session]) -> None:
    session = Session(30)
    started.append(session)

    code = session.end()

    assert code == 0
    assert session.lines()[0].startswith("✔ demo.py  abc-def  done")
    assert session.lines()[2].startswith("▸ all  ✔ 30/30")
    assert session.lines()[-1] == "✔ done: 30 Execs"


def test_ctrl_c_detaches_and_says_how_to_come_back(started: list[Session]) -> None:
    session = Session(5)
    started.append(session)
    session.wait_for("D 5")

    session.child.sendintr()
    code = session.end()

    assert code == 130
    assert session.lines()[-3:] == [
        "detached; pipeline abc-def goes on",
        "  come back: conducto show abc-def",
        "  end it:    conducto kill abc-def /",
    ]
    assert not session.screen.cursor.hidden


def test_keys_pressed_meanwhile_do_not_disturb_the_picture(started: list[Session]) -> None:
    session = Session(3)
    started.append(session)
    session.wait_for("D 3")

    session.child.send("\n\nxyz\n")
    session.child.sendintr()
    session.end()

    assert sum("demo.py" in line for line in session.lines()) == 1
    assert not any("xyz" in line for line in session.lines())


def test_a_dumb_terminal_gets_lines(started: list[Session]) -> None:
    session = Session(30, TERM="dumb")
    started.append(session)

    session.end()

    assert session.lines()[-2].startswith("done    /all/n29")


def test_no_color_leaves_the_colours_out(started: list[Session]) -> None:
    session = Session(30, NO_COLOR="1")
    started.append(session)

    session.end()

    colours = {char.fg for row in session.screen.buffer.values() for char in row.values()}
    assert colours <= {"default"}
