"""The agent's open files: in a process of its own, since a limit that was lowered stays so."""

import subprocess
import sys
import textwrap
from pathlib import Path

PROGRAM = """
import errno, os, resource, sys
from pathlib import Path
from conducto_local import descriptors
from conducto_local.scheduling.attempt_logs import LogDirectory

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))
assert descriptors.raise_limit() == 128
descriptors.OUTPUT.fill()
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError as error:
    assert error.errno == errno.EMFILE
logs = LogDirectory(Path(sys.argv[1]))
writers = [logs.writer(f"/{n}", 1) for n in range(20)]
for writer in writers:
    writer.write("stdout", b"said")
    writer.write("stderr", b"said, too")
    assert writer.failure is None, writer.failure
for descriptor in taken:
    os.close(descriptor)
for writer in writers:
    writer.close()
print(len(descriptors.OUTPUT._held))
"""


def test_output_is_kept_when_no_descriptors_are_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "64\n", "")
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 40
