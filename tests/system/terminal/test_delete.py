"""The question of ``conducto delete`` on a terminal."""

import os
import sys
from pathlib import Path

import pexpect
import pytest

PROGRAM = Path(__file__).with_name("delete_pipeline.py")


@pytest.mark.parametrize(
    ("reply", "code", "left"), [("n", 1, b"left: ['abc-def']"), ("yes", 0, b"left: []")]
)
def test_a_pipeline_is_deleted_only_after_yes(reply: str, code: int, left: bytes) -> None:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    child = pexpect.spawn(sys.executable, [str(PROGRAM)], env=variables, timeout=60)
    child.expect_exact("Delete pipeline abc-def 'Nightly' (")
    child.expect_exact("[y/N] ")

    child.sendline(reply)
    child.expect(pexpect.EOF)
    child.close()

    assert left in child.before
    assert child.exitstatus == code
