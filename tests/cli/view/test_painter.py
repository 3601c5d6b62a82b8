import io

import pyte
import pytest

from conducto_cli.text.text import Line, Role, TextSpan
from conducto_cli.view.screen import Painter, coloured, is_live_terminal, wants_colour


class Terminal(io.StringIO):
    """A stream whose reader is a terminal emulator."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.screen = pyte.Screen(columns, rows)
        self._parser = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._parser.feed(text)
        return super().write(text)

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "6")
    return Terminal(20, 6)


def lines(*texts: str) -> list[Line]:
    return [(TextSpan(text),) for text in texts]


def test_a_frame_replaces_the_one_before(terminal: Terminal) -> None:
    painter = Painter(terminal, colour=False)

    painter.paint(lines("one", "two", "three"))
    painter.paint(lines("un", "deux"))

    assert terminal.lines() == ["un", "deux", "", "", "", ""]


def test_earlier_screen_content_stays_above(terminal: Terminal) -> None:
    terminal.write("$ conducto show abc\r\n")
    painter = Painter(terminal, colour=False)

    painter.paint(lines("one"))
    painter.paint(lines("uno", "due"))

    assert terminal.lines()[:3] == ["$ conducto show abc", "uno", "due"]


def test_a_frame_as_high_as_the_terminal_does_not_scroll_when_repainted(terminal: Terminal) -> None:
    painter = Painter(terminal, colour=False)
    _, rows = painter.size()

    for frame in range(3):
        painter.paint(lines(*(f"{frame}.{row}" for row in range(rows))))

    assert terminal.lines() == ["2.0", "2.1", "2.2", "2.3", "2.4", ""]


def test_an_unchanged_frame_writes_nothing(terminal: Terminal) -> None:
    painter = Painter(terminal, colour=False)
    painter.paint(lines("one"))
    before = terminal.getvalue()

    painter.paint(lines("one"))

    assert terminal.getvalue() == before


def test_narrower_terminal_clears_wrapped_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Painter(terminal, colour=False)
    painter.paint(lines("a" * 16))
    # As a terminal that reflows shows the line in ten columns.
    terminal.screen.reset()
    terminal.screen.resize(6, 10)
    terminal.write("a" * 10 + "\r\n" + "a" * 6 + "\r\n")
    monkeypatch.setenv("COLUMNS", "10")

    painter.paint(lines("b"))

    assert terminal.lines() == ["b", "", "", "", "", ""]


def test_painting_continues_below_after_a_stop(terminal: Terminal) -> None:
    painter = Painter(terminal, colour=False)
    painter.paint(lines("old"))
    terminal.write("$ fg\r\n")

    painter.forget()
    painter.paint(lines("new"))

    assert terminal.lines()[:3] == ["old", "$ fg", "new"]


def test_the_cursor_is_hidden_only_while_live(terminal: Terminal) -> None:
    painter = Painter(terminal, colour=False)

    with painter.live():
        hidden = terminal.screen.cursor.hidden

    assert (hidden, terminal.screen.cursor.hidden) == (True, False)


def test_colours_follow_the_role() -> None:
    assert coloured((TextSpan("x", Role.BAD), TextSpan(" plain"))) == "\x1b[31mx\x1b[0m plain"


@pytest.mark.parametrize(("no_colour", "wanted"), [("", True), ("1", False)])
def test_no_color_is_honoured(no_colour: str, wanted: bool) -> None:
    assert wants_colour({"NO_COLOR": no_colour}) is wanted


@pytest.mark.parametrize(("term", "live"), [("xterm-256color", True), ("dumb", False), ("", False)])
def test_a_dumb_terminal_is_not_repainted(term: str, live: bool) -> None:
    assert is_live_terminal(Terminal(80, 24), {"TERM": term}) is live
