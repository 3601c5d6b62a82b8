"""Keys of the live view in a real pseudo terminal."""

from collections.abc import Callable, Iterator

import pytest

from system.terminal.terminal import Session

Start = Callable[..., Session]


@pytest.fixture
def start() -> Iterator[Start]:
    sessions: list[Session] = []

    def begin(state: str, *, under_bash: bool = False) -> Session:
        session = Session("steer_on_terminal.py", state, under_bash=under_bash)
        sessions.append(session)
        session.wait_for("build")
        return session

    yield begin
    for session in sessions:
        session.child.close(force=True)


def test_q_detaches_from_a_running_pipeline(start: Start) -> None:
    session = start("running")

    session.child.send("q")
    code = session.end()

    assert code == 130
    assert session.lines()[-3] == "detached; pipeline abc-def continues"


def test_settled_pipeline_is_shown_until_q_and_its_exit_code_is_kept(start: Start) -> None:
    session = start("error")
    session.wait_for("? keys")

    session.child.send("q")

    assert session.end() == 1


def test_arrows_move_a_cursor_over_the_tree(start: Start) -> None:
    session = start("running")

    session.child.send("\x1b[B")
    session.wait_for("→ ▾ /")
    session.child.send("\x1b[B")
    session.wait_for("→   ● build")
    session.child.send("\x1b[B\x1bOC")
    session.wait_for("→   ▾ tests")
    session.child.send("\x1b")

    session.wait_without("→")
    session.child.send("q")
    assert session.end() == 130


def test_failed_node_is_rerun_after_confirmation(start: Start) -> None:
    session = start("error")

    session.child.send("n")
    session.wait_for("→   ✘ build")
    session.child.send("r")
    session.wait_for("rerun /build")
    session.child.send("y")
    session.wait_for("reset 1 Exec")
    session.child.send("q")
    session.end()

    assert session.lines()[-1] == "requested rerun /build"


def test_running_node_is_killed_only_after_confirmation(start: Start) -> None:
    session = start("running")
    session.child.send("j")
    session.wait_for("→ ▾ /")

    session.child.send("x")
    session.wait_for("kill /build, which runs? y or n")
    session.child.send("n")
    session.wait_for("not done")
    session.child.send("x")
    session.wait_for("y or n")
    session.child.send("y")
    session.wait_for("killed 1 Exec")
    session.child.send("q")
    session.end()

    assert [line for line in session.lines() if "requested" in line] == ["requested kill /"]


def test_the_output_of_a_node_is_read_in_place(start: Start) -> None:
    session = start("running")
    session.child.send("jj")
    session.wait_for("→   ● build")

    session.child.send("l")
    session.wait_for("│ compiling")
    session.wait_for("│ no such file")
    session.child.send("\x1b")
    session.wait_for("→   ● build")

    session.child.sendintr()
    assert session.end() == 130


def test_the_question_mark_lists_the_keys(start: Start) -> None:
    session = start("running")

    session.child.send("?")
    session.wait_for("run or pause the pipeline")
    session.child.send("q")
    session.wait_for("build")
    session.child.send("q")

    assert session.end() == 130


def test_the_terminal_is_as_before_when_the_view_has_ended(start: Start) -> None:
    session = start("running")

    session.child.send("q")
    session.end()

    assert not session.screen.cursor.hidden


def test_after_a_stop_and_fg_keys_still_come_one_by_one(start: Start) -> None:
    session = start("running", under_bash=True)

    session.child.send("\x1a")
    session.wait_for("Stopped")
    session.child.send("fg\n")
    session.wait_for("# fg")
    session.child.send("q")
    session.wait_for("detached")
    session.child.send("exit\n")

    session.end()
