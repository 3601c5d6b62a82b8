"""The fork server in containers: as another user, at the memory limit, and when stopped."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from conducto_core.command.server import FORKED, ISOLATE
from conducto_core.run.model.states import Cause
from conducto_local.engine.docker.engine import DockerEngine
from conducto_local.engine.port import Exit, Job, Mount, Stream, WorkerSpec
from support.command_server import install
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conducto_local.engine.docker.worker import DockerWorker

pytestmark = pytest.mark.docker

IMAGE = "conducto-test/debian:latest"
JOB = """
import os, time
def who() -> str:
    return f"{os.getuid()} {os.getppid()}"
def hog() -> None:
    bytes(bytearray(900 << 20))
def slow() -> None:
    print("begun", flush=True)
    time.sleep(60)
"""


class Calls:
    """A worker, and the output of its commands."""

    def __init__(self, worker: DockerWorker) -> None:
        self.worker = worker
        self.out = ""
        self.printed = asyncio.Event()

    async def call(self, function: str, isolate: str = "0") -> Exit:
        self.out = ""
        env = {ISOLATE: isolate, "NODE": function}
        return await self.worker.run(Job(f"conducto job.py {function}", env), self._write)

    def _write(self, _stream: Stream, data: bytes) -> None:
        self.out += data.decode()
        self.printed.set()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    ensure([IMAGE])
    install(tmp_path, "/usr/bin/python3")
    (tmp_path / "job.py").write_text(JOB)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755)
    return tmp_path


@pytest.fixture
async def calls(project: Path) -> AsyncIterator[Calls]:
    spec = WorkerSpec(
        f"conducto-test-{uuid.uuid4().hex[:8]}",
        IMAGE,
        "/bin/bash",
        cpu=1,
        mem=0.25,
        docker_run_args=(
            "--user=1234:1234",
            "--env=PATH=/opt/native/bin:/usr/bin:/bin",
            "--env=PYTHONPATH=/opt/native/lib/site-packages",
        ),
        mounts=(Mount(str(project), "/opt/native", read_only=True),),
        network="none",
        workdir="/opt/native",
    )
    engine = DockerEngine(grace=5)
    await engine.open()
    worker = await engine.start_worker(spec)
    try:
        yield Calls(worker)
    finally:
        await worker.close()
        await engine.close()


async def test_functions_run_in_forks_and_one_template_survives_their_ends(calls: Calls) -> None:
    parents = set()
    kinds = []
    for _ in range(4):
        kinds.append((await calls.call("who")).interpreter)
        parents.add(calls.out)
    template = calls.out

    hog = await calls.call("hog")
    await calls.call("who")
    after_hog = calls.out
    running = asyncio.create_task(calls.call("slow"))
    calls.printed.clear()
    await asyncio.wait_for(calls.printed.wait(), 60)
    await calls.worker.stop()
    stopped = await running
    await calls.call("who")
    after_stop = calls.out
    await calls.call("who", isolate="1")

    assert template.startswith("'1234 ")
    assert kinds == ["first call", FORKED, FORKED, FORKED]
    assert len(parents) == 2  # of the first call, and of the template
    assert (hog.code, hog.cause) == (137, Cause.OUT_OF_MEMORY)
    assert (after_hog, stopped.code, after_stop) == (template, 143, template)
    assert calls.out != template
