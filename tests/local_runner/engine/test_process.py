"""Plain processes: what of the machine's troubles is one command's, not the engine's."""

import shutil
from pathlib import Path

from conducto_core.run.model.states import Cause
from conducto_local.engine.port import Job, Stream, WorkerSpec
from conducto_local.engine.process.engine import ProcessEngine


def keep(_stream: Stream, _data: bytes) -> None:
    """Drop the output."""


async def test_a_process_that_cannot_be_started_ends_its_attempt_alone(tmp_path: Path) -> None:
    shell = tmp_path / "sh"
    shutil.copy("/bin/sh", shell)
    worker = await ProcessEngine().start_worker(WorkerSpec("w", "", str(shell), 1, 1))
    shell.rename(tmp_path / "gone")

    ended = await worker.run(Job("exit 3"), keep)
    (tmp_path / "gone").rename(shell)
    next_one = await worker.run(Job("exit 3"), keep)
    await worker.close()

    assert ended.cause is Cause.WORKER_LOST
    assert not ended.engine_gone
    assert ended.message == ("this machine could not start a process: No such file or directory")
    assert next_one.code == 3
