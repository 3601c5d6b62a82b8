"""The live view in a real pseudo terminal."""

from collections.abc import Iterator

import pytest

from system.terminal import terminal


class Session(terminal.Session):
    """A pipeline of which some nodes end."""

    def __init__(self, ending_nodes: int, **environ: str) -> None:
        super().__init__("play_on_terminal.py", str(ending_nodes), **environ)


@pytest.fixture
def started() -> Iterator[list[Session]]:
    sessions: list[Session] = []
    yield sessions
    for session in sessions:
        session.child.close(force=True)


def test_last_screen_and_result_stay(started: list[Session]) -> None:
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
        "detached; pipeline abc-def continues",
        "  come back: conducto show abc-def",
        "  end it:    conducto cancel abc-def",
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
