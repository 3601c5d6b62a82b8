"""The tree as it is printed."""

from __future__ import annotations

import pytest

import conducto as co


@pytest.fixture(autouse=True)
def no_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")


def sample() -> co.Serial:
    with co.Serial() as root:
        with co.Parallel(name="p"):
            co.Exec("a", name="x")
            with co.Serial(name="y"):
                co.Exec("line1\n  line2", name="only")
        for index in range(9):
            co.Exec("c", name=str(index))
        co.Parallel(name="last")
    return root


def test_tree_is_drawn_with_padded_indices_below_a_serial() -> None:
    assert sample().pretty().split("\n") == (
        [
            "/",
            "├─00 p",
            "│ ├─ x   a",
            "│ └─ y",
            "│   └─0 only   line1\\nline2",
            "├─01 0   c",
            "├─02 1   c",
            "├─03 2   c",
            "├─04 3   c",
            "├─05 4   c",
            "├─06 5   c",
            "├─07 6   c",
            "├─08 7   c",
            "├─09 8   c",
            "└─10 last",
        ]
    )


def test_single_exec_is_a_root() -> None:
    assert co.Exec("a").pretty() == "/   a"


def test_terminal_gets_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    root = co.Parallel()
    root["x"] = co.Exec("a")

    assert root.pretty() == "\x1b[1;34m/\x1b[0m\n└─ \x1b[1;36mx\x1b[0m   a"


def test_no_terminal_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.delenv("TERM")

    assert co.Serial().pretty() == "/"


def test_relative_file_becomes_its_path_in_the_container() -> None:
    root = co.Serial(image=co.Image("a", copy_dir=".."))
    root["x"] = co.Exec("cat " + co.relpath("data file.csv"))

    assert root.pretty().endswith("cat 'sdk/data file.csv'")


def test_interactive_python_shows_the_tree() -> None:
    class Printer:
        shown = ""

        def text(self, text: str) -> None:
            self.shown += text

    printer = Printer()
    sample()._repr_pretty_(printer, False)

    assert printer.shown == sample().pretty()
