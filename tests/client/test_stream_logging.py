"""Errors of a stream are exceptions for the client; they print nothing by themselves."""

import subprocess
import sys

PROGRAM = """
import sys
from conducto_client.transport.http import protocol_logger
try:
    raise ConnectionError("keepalive ping timeout, as after the machine slept")
except ConnectionError:
    protocol_logger.error("keepalive ping failed", exc_info=True)
"""


def test_program_without_logging_prints_no_traceback_of_the_protocol() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    assert (done.stdout, done.stderr) == ("", "")
