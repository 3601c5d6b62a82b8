"""Commands whose reader, such as ``head``, has left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import conducto as co

def build() -> co.Serial:
    root = co.Serial(image="busybox")
    for number in range(300):
        root[f"n{number}"] = co.Exec("true")
    return root

def number() -> int:
    return 3

def numbers() -> list:
    return list(range(20_000))

def socket() -> int:
    raise BrokenPipeError("the socket is closed")

if __name__ == "__main__":
    co.main(default=build)
"""


def run(folder: Path, *words: str, stdout: int = subprocess.PIPE) -> tuple[int, str]:
    (folder / "p.py").write_text(SCRIPT)
    done = subprocess.run(
        words, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("conducto", "compile", "p.py"),
        ("conducto", "compile", "--graph", "p.py"),
        ("conducto", "complete-words", "li"),
        ("conducto", "completion", "bash"),
        ("conducto", "p.py", "number"),
        ("conducto", "p.py", "numbers"),
        (sys.executable, "p.py", "number"),
        (sys.executable, "p.py", "numbers"),
        (sys.executable, "p.py", "--version"),
    ],
    ids=" ".join,
)
def test_command_with_a_closed_pipe_ends_without_a_traceback(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    if words[0] == "conducto":
        start = "import sys; from conducto.tools.entry import main; sys.exit(main())"
        words = (sys.executable, "-c", start, *words[1:])

    code, errors = run(tmp_path, *words, stdout=writer)
    os.close(writer)

    assert code == 1
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_broken_pipe_of_a_function_is_an_error_of_the_script(tmp_path: Path) -> None:
    code, errors = run(tmp_path, sys.executable, "p.py", "socket")

    assert code == 1
    assert errors.endswith("BrokenPipeError: the socket is closed\n")
