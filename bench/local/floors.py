"""Baselines: the cost of the same work without Conducto."""

import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.local.engine_api import AREA, LABEL, EngineApi, ResidentShell, in_threads
from bench.local.lab import IMAGE, SLOTS, LocalLab
from bench.registry import BenchError

Found = dict[str, float]


def make_parallel(_lab: LocalLab) -> Found:
    """Run 1,000 bare processes under ``make -j2``."""
    rules = "\n".join(f"n{i}:\n\t@sh -c true" for i in range(1000))
    names = " ".join(f"n{i}" for i in range(1000))
    text = f".PHONY: all {names}\nall: {names}\n{rules}\n"
    before = _children_cpu()
    found = _per_exec(_make(text, SLOTS), 1000)
    # Seconds for 1,000 are milliseconds for each.
    return {**found, "cpu_ms_per_exec": _children_cpu() - before}


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make_chain(_lab: LocalLab) -> Found:
    """Run 100 bare processes, one after the other."""
    rules = "\n".join(f"n{i + 1}: n{i}\n\t@sh -c true" for i in range(99))
    names = " ".join(f"n{i}" for i in range(100))
    text = f".PHONY: all {names}\nall: n99\nn0:\n\t@sh -c true\n{rules}\n"
    return _per_exec(_make(text, SLOTS), 100)


def _make(text: str, jobs: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "Makefile").write_text(text)
        command = ["make", "-s", f"-j{jobs}", "-C", directory]
        return _timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def docker_exec(lab: LocalLab, count: int = 60) -> Found:
    """Run ``sh -c true`` with an exec for each command, in a running container."""
    container = lab.api.create(IMAGE, ["sleep", "600"], NetworkMode="none")
    try:
        lab.api.call("POST", f"/containers/{container}/start")
        seconds = _timed(lambda: in_threads(lambda _: _execs(container, count // SLOTS), SLOTS))
    finally:
        lab.api.remove(container)
    return _per_exec(seconds, count // SLOTS * SLOTS)


def _execs(container: str, count: int) -> None:
    api = EngineApi()
    body = {"Cmd": ["sh", "-c", "true"], "AttachStdout": True, "AttachStderr": True}
    for _ in range(count):
        made = api.call("POST", f"/containers/{container}/exec", body)["Id"]
        api.call("POST", f"/exec/{made}/start", {"Detach": False})
        if api.call("GET", f"/exec/{made}/json")["ExitCode"] != 0:
            raise BenchError("an exec of the baseline failed")
    api.close()


def fresh_container(lab: LocalLab, count: int = 30) -> Found:
    """Create, start, wait for and remove a container for each command, without limits."""
    return _fresh(lab, count, {})


def fresh_like_ours(lab: LocalLab, count: int = 30) -> Found:
    """Do the same with the configuration of Conducto's containers: mounts, a tmpfs and limits."""
    data = lab.scratch / "mounted"
    data.mkdir(exist_ok=True)
    mounts = [
        {"Type": "bind", "Source": str(data), "Target": f"/conducto/data/{name}"}
        for name in ("pipeline", "user")
    ]
    config = {
        "NanoCpus": 10**9,
        "Memory": 2**31,
        "MemorySwap": 2**31,
        "Mounts": mounts,
        "Tmpfs": {"/conducto/run": "rw,exec,mode=1777,size=256m"},
    }
    return _fresh(lab, count, config)


def _fresh(lab: LocalLab, count: int, config: dict[str, object]) -> Found:
    network = lab.api.call(
        "POST",
        "/networks/create",
        {"Name": f"conducto_bench_{lab.profile}", "Driver": "bridge", "Labels": {LABEL: AREA}},
    )["Id"]
    whole = {"NetworkMode": network, "LogConfig": {"Type": "none"}, **config}
    try:
        seconds = _timed(lambda: in_threads(lambda _: _lives(count // SLOTS, whole), SLOTS))
    finally:
        lab.api.call("DELETE", f"/networks/{network}")
    return _per_exec(seconds, count // SLOTS * SLOTS)


def _lives(count: int, config: dict[str, object]) -> None:
    api = EngineApi()
    for _ in range(count):
        container = api.create(IMAGE, ["sh", "-c", "true"], **config)
        api.call("POST", f"/containers/{container}/start")
        code = api.call("POST", f"/containers/{container}/wait")["StatusCode"]
        api.remove(container)
        if code != 0:
            raise BenchError(f"a container of the baseline ended with code {code}")
    api.close()


def resident_parallel(_lab: LocalLab) -> Found:
    """Run 1,000 commands in resident shells, in as many containers as run at once."""
    return _resident("sh -c true", 1000, SLOTS)


def resident_chain(_lab: LocalLab) -> Found:
    """Run 100 commands in one resident shell, one after the other."""
    return _resident("sh -c true", 100, 1)


def resident_python(_lab: LocalLab) -> Found:
    """Start an interpreter that does nothing 50 times in one resident shell."""
    return _resident("python3 -S -E -c pass", 50, 1)


def _resident(command: str, count: int, shells: int) -> Found:
    apis = [EngineApi() for _ in range(shells)]
    opened: list[ResidentShell] = []
    try:
        opened.extend(ResidentShell(api, IMAGE, command) for api in apis)
        for shell in opened:
            shell.run()

        def work(number: int) -> None:
            for _ in range(count // shells):
                opened[number].run()

        seconds = _timed(lambda: in_threads(work, shells))
    finally:
        for shell in opened:
            shell.close()
        for api in apis:
            api.close()
    return _per_exec(seconds, count // shells * shells)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _per_exec(seconds: float, count: int) -> Found:
    return {"ms_per_exec": 1000 * seconds / count}
