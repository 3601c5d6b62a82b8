"""The tree as it is printed."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

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


def test_skipped_nodes_are_marked() -> None:
    with co.Serial() as root:
        co.Exec("a", name="x", skip=True)
        with co.Parallel(name="p", skip=True):
            co.Exec("b", name="y")

    assert root.pretty().split("\n") == [
        "/",
        "├─0 x (skipped)   a",
        "└─1 p (skipped)",
        "  └─ y   b",
    ]


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


PRINTS = """
import conducto as co
def pipeline() -> co.Parallel:
    "Say hello."
    root = co.Parallel()
    root["x"] = co.Exec("a")
    return root
co.main(default=pipeline)
"""
#: Conducto may be a directory of PYTHONPATH, as in the container of ``pipelines/ci.py``.
ENV = {"PATH": os.environ["PATH"], "TERM": "xterm", "PYTHONPATH": ":".join(sys.path)}
WITH_COLORS = "\x1b[1;34m/\x1b[0m\n└─ \x1b[1;36mx\x1b[0m   a"


def run_on_terminal(script: Path, *argv: str, **env: str) -> str:
    """Return the output of a script on a terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb") as terminal:
        subprocess.run(
            [sys.executable, str(script), *argv],
            env={**ENV, "PYTHONUTF8": "1", **env},
            stdout=terminal,
            stderr=terminal,
            check=True,
        )
    written = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # EIO
        while data := terminal.read(65536):
            written += data
    return written.decode().replace("\r\n", "\n")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.py"
    path.write_text(PRINTS)
    return path


def test_terminal_gets_colors(script: Path) -> None:
    assert run_on_terminal(script).startswith(WITH_COLORS)
    assert "    \x1b[1;34mpipeline\x1b[0m -> Parallel" in run_on_terminal(script, "--help")


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_terminal_without_colors_gets_none(script: Path, env: dict[str, str]) -> None:
    assert "\x1b" not in run_on_terminal(script, **env)


@pytest.mark.parametrize("argv", [(), ("--help",)])
def test_pipe_gets_no_colors(script: Path, argv: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, str(script), *argv],
        env=ENV,
        capture_output=True,
        check=True,
    )

    assert done.stdout + done.stderr != b""
    assert b"\x1b" not in done.stdout + done.stderr


def test_relative_file_becomes_its_path_in_the_container() -> None:
    root = co.Serial(image=co.Image("a", copy_dir=".."))
    root["x"] = co.Exec("cat " + co.relpath("data file.csv"))

    assert root.pretty().endswith("cat 'tree/data file.csv'")


def test_interactive_python_shows_the_tree() -> None:
    class Printer:
        shown = ""

        def text(self, text: str) -> None:
            self.shown += text

    printer = Printer()
    sample()._repr_pretty_(printer, False)

    assert printer.shown == sample().pretty()
