"""Lines of the agent's log."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conducto_local.agent.process import KeyValueFormatter


def render(message: str, **fields: object) -> str:
    record = logging.makeLogRecord(
        {
            "msg": message,
            "name": "here",
            "levelname": "INFO",
            "created": 0.5,
            "msecs": 500,
            **fields,
        }
    )
    return KeyValueFormatter().format(record)


def test_a_decision_is_one_line_of_fields() -> None:
    line = render("task started", path="/a", attempt=2)

    assert line == (
        'time=1970-01-01T00:00:00.500Z level=info logger=here event="task started" '
        "path=/a attempt=2"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("two\nlines", '"two\\nlines"'),
        ("", '""'),
    ],
)
def test_a_value_that_could_be_misread_is_quoted(value: str, shown: str) -> None:
    assert render("e", path=value).endswith(f" path={shown}")


def test_an_error_brings_its_traceback() -> None:
    try:
        int("wrong")
    except ValueError:
        line = render("failed", exc_info=sys.exc_info())

    assert line.splitlines()[0].endswith("event=failed")
    assert line.splitlines()[-1].startswith("ValueError: invalid")


def test_a_new_file_takes_the_output_of_the_process_along(tmp_path: Path) -> None:
    program = (
        "import logging, os, sys, pathlib; from conducto_local.agent import process\n"
        "handler = process.log_to(pathlib.Path(sys.argv[1]))\n"
        "logging.info('old'); handler.doRollover(); logging.info('new')\n"
        "os.write(2, b'printed\\n')"
    )
    log = tmp_path / "agent.log"

    subprocess.run(
        [sys.executable, "-c", program, str(log)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert log.read_text().endswith("event=new\nprinted\n")
    assert "event=old" in (tmp_path / "agent.log.1").read_text()
