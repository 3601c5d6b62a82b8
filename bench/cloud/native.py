"""The cost of native functions in a container of a cloud worker.

The agent of a worker reaches the command server of its container through FIFOs. The emulator takes
far longer for a claim and a report than a call takes, so only this part is measured.
"""

import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.command_server import install

from bench.cloud.lab import IMAGES, ROOT, CloudLab, ensure_images
from bench.local.engine_api import EngineApi
from bench.registry import BenchError
from conducto_core.command.server import FORKED, ISOLATE, Finished
from conducto_core.command.task_layout import CTL, user_entry
from conducto_worker.agent.fifo_channel import FifoCommands

Found = dict[str, float]
_TIMEOUT = 60.0
#: Calls before the first that runs in a fork.
_BEFORE_FORKS = 2
_EMPTY = "conducto nothing.py nothing"
_HEAVY = "conducto heavy.py nothing_heavy"


def shell_50(lab: CloudLab) -> Found:
    return _measured(lab, "true", 50, isolate=False)


def native_50(lab: CloudLab) -> Found:
    return _measured(lab, _EMPTY, 50, isolate=False)


def native_isolated_50(lab: CloudLab) -> Found:
    return _measured(lab, _EMPTY, 50, isolate=True)


def native_heavy_200(lab: CloudLab) -> Found:
    return _measured(lab, _HEAVY, 200, isolate=False)


def native_heavy_isolated_50(lab: CloudLab) -> Found:
    return _measured(lab, _HEAVY, 50, isolate=True)


def _measured(lab: CloudLab, script: str, count: int, *, isolate: bool) -> Found:
    """Return the time of a warm call, and the CPU time of the container for each of all calls."""
    with _container(lab) as (commands, api, container):
        before = api.cpu(container)
        made = [_called(commands, script, isolate=isolate) for _ in range(count)]
        cpu = api.cpu(container) - before
    forks = [interpreter for _, interpreter in made[_BEFORE_FORKS:] if interpreter == FORKED]
    if len(forks) != (0 if isolate or script == "true" else count - _BEFORE_FORKS):
        raise BenchError(f"{len(forks)} of {count} calls of {script!r} ran in a fork")
    return {
        "call_ms": 1000 * statistics.median(seconds for seconds, _ in made[_BEFORE_FORKS:]),
        "cpu_ms_per_call": 1000 * cpu / count,
    }


def _called(commands: FifoCommands, script: str, *, isolate: bool) -> tuple[float, str]:
    started = time.perf_counter()
    commands.begin(script, {ISOLATE: "1" if isolate else "0"})
    finished = _finished(commands)
    if finished.code:
        raise BenchError(f"{script!r} ended with exit code {finished.code}")
    return time.perf_counter() - started, finished.interpreter


def _finished(commands: FifoCommands) -> Finished:
    end = time.monotonic() + _TIMEOUT
    while (finished := commands.finished) is None:
        if time.monotonic() > end:
            raise BenchError("a command did not end")
        for _ in commands.read(0.5):
            pass
    return finished


@contextlib.contextmanager
def _container(lab: CloudLab) -> Iterator[tuple[FifoCommands, EngineApi, str]]:
    """Yield a container as ECS starts it, with the functions and Conducto."""
    ensure_images()
    folder = Path(tempfile.mkdtemp(prefix="ctl", dir=lab.scratch))
    install(folder / "native", "/usr/bin/env python3")
    for name in ("nothing.py", "heavy.py"):
        shutil.copy(ROOT / "bench" / "local" / name, folder)
    commands = FifoCommands(folder, workdir=CTL)
    commands.open()
    api = EngineApi()
    container = api.create(
        IMAGES[0],
        user_entry(credentials=False),
        {
            "PATH": f"{CTL}/native/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{CTL}/native/lib/site-packages",
        },
        Binds=[f"{folder}:{CTL}"],
        NetworkMode="none",
    )
    try:
        api.call("POST", f"/containers/{container}/start")
        commands.wait_ready(_TIMEOUT, lambda: False)
        yield commands, api, container
    finally:
        commands.close()
        api.remove(container)
        api.close()
