"""Pipelines that the tests of the web app launch, through the command line as a person would."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from support.running import Person

_FRAME = """import conducto as co


def web() -> co.Serial:
{body}
    return root


if __name__ == "__main__":
    co.main(default=web)
"""

#: Two containers' worth of work; the second of three tests fails, and publishing waits for it.
MENDABLE = """
    with co.Serial(image="python:3.11-slim", doc="Tests, then publishes.") as root:
        with co.Parallel(name="tests"):
            for number in range(3):
                why = f"echo 'because of {number}' >&2"
                co.Exec(f"echo testing {number}; {why}; test {number} != 1", name=f"test{number}")
        co.Exec("echo published", name="publish")
"""

#: Plain processes: quick, for scripts without containers.
QUICK = """
    with co.Serial() as root:
        with co.Parallel(name="good"):
            co.Exec("echo fine", name="a")
            co.Exec("printf '\\\\033[31mred\\\\033[0m\\\\n'; seq 300", name="b", doc="Counts.")
        co.Exec("echo 'boom: no such thing'; exit 3", name="bad", env={"MODE": "x"})
        co.Exec("echo after", name="after")
"""

SLOW = """
    with co.Serial() as root:
        co.Exec("echo begun; sleep 600", name="slow")
        co.Exec("echo after", name="after")
"""


def wide(children: int, groups: int) -> str:
    """Return the body of a pipeline of quick Execs, one of each group failing."""
    return f"""
    with co.Serial(stop_on_error=False) as root:
        for group in range({groups}):
            with co.Parallel(name=f"g{{group}}"):
                for number in range({children}):
                    co.Exec("true" if number != {children} - 2 else "false", name=f"n{{number}}")
"""


def breakable(children: int, groups: int, broken: Path) -> str:
    """Return the body of quick Execs that fail when the file `broken` holds their name."""
    return f"""
    with co.Serial(stop_on_error=False) as root:
        for group in range({groups}):
            with co.Parallel(name=f"g{{group}}"):
                for number in range({children}):
                    co.Exec(f"! grep -qx n{{number}} '{broken}'", name=f"n{{number}}")
"""


def launch(
    person: Person,
    body: str,
    *,
    engine: str = "process",
    run: bool = True,
    script_name: str = "web_pipeline.py",
) -> str:
    """Launch a pipeline and return its id, without waiting for it.

    Tests share a program, unless ``script_name`` names another one.
    """
    script = person.base / script_name
    script.write_text(_FRAME.format(body=body.strip("\n")))
    words = ["--local", "--engine", engine, "--detach", *(["--run"] if run else [])]
    done = person._start([str(script), *words])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()[1]
