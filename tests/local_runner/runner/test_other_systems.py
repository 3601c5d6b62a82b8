"""Features that only Linux has are not needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from conducto_local.engine.process.engine import processes, processes_by_ps

WITHOUT_LINUX = """
import fcntl, os, time
for module, name in ((fcntl, "F_GETPIPE_SZ"), (time, "CLOCK_BOOTTIME"), (os, "pidfd_open")):
    if hasattr(module, name):
        delattr(module, name)
"""
#: Runs a command as plain processes, and reads the clock.
USES = """
import asyncio
from conducto_local.engine.process.engine import ProcessEngine
from conducto_local.engine.port import Job, WorkerSpec
from conducto_local.run.clock import steady

async def main():
    worker = await ProcessEngine().start_worker(WorkerSpec("w", "", "/bin/sh", 1, 1))
    ended = await worker.run(Job("echo said"), lambda stream, data: print(data))
    await worker.close()
    print(ended.code, steady() > 0)

asyncio.run(main())
"""


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_process_engine_does_not_require_linux() -> None:
    done = run(WITHOUT_LINUX + USES)

    assert (done.stdout, done.stderr) == ("b'said\\n'\n0 True\n", "")


def test_commands_are_found_without_proc(tmp_path: Path) -> None:
    script = tmp_path / "cmd.sh"
    script.write_text("echo ready; read line\n")
    pipe = subprocess.PIPE
    with subprocess.Popen(["/bin/sh", str(script)], stdin=pipe, stdout=pipe) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"ready\n"
        wanted = (shell.pid, str(script))

        assert wanted in set(processes())
        assert wanted in set(processes_by_ps())


@pytest.mark.parametrize(
    "code",
    [
        "from conducto.tools.entry import main; sys.exit(main(['list']))",
        "import conducto as co; sys.exit(co.Serial(image='x').launch_local())",
        "import conducto as co; co.data.user.list('')",
    ],
    ids=["conducto", "launch", "data"],
)
def test_windows_gets_one_message_that_names_wsl(code: str) -> None:
    done = run(f"import sys; sys.platform = 'win32'\n{code}")

    assert done.returncode != 0
    assert "Windows is not supported; use WSL" in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_windows_prints_a_tree() -> None:
    done = run(
        "import sys; sys.platform = 'win32'\nimport conducto as co; print(co.Exec('x').pretty())"
    )

    assert (done.stdout, done.stderr) == ("/   x\n", "")
