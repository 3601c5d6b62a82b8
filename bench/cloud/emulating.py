"""What the emulator itself costs: its process, without the latencies of AWS, and its workers.

The emulator runs as `conducto cloud-emulator` runs it, so that the client's time is not counted.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import conducto as co
from bench.cloud.lab import IMAGES, ROOT, CloudLab, ensure_images
from bench.local.engine_api import EngineApi, RefusedError
from bench.registry import BenchError
from conducto.tree.launch_form import to_launch_form
from conducto_client.client import Client
from conducto_client.transport.http import HttpTransport
from conducto_client.transport.port import Endpoint
from conducto_core.installation.names import EMULATOR_STAGE, function_name
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import State

Found = dict[str, float]
_WORKERS = 4
_FEW, _MANY = 20, 320
_START_SECONDS, _TIMEOUT, _STOP_SECONDS = 180.0, 600.0, 60.0
_LABEL = "com.conducto.emulator"
_POLL_SECONDS = 1.0


def run(lab: CloudLab) -> Found:
    """Run two Parallels of ``true``; the difference of their CPU times has no start of workers."""
    ensure_images()
    with _emulator(lab.scratch / "emulating") as (process, state):
        _set_plan(state)
        client = Client(HttpTransport(Endpoint(state["url"], state["token"])))
        with contextlib.closing(client):
            few = _run(process, state, client, _FEW)
            many = _run(process, state, client, _MANY)
    more = _MANY - _FEW
    cpu = {name: 1e3 * (many[name] - few[name]) / more for name in ("process", "workers")}
    return {
        "cpu_ms_per_exec": sum(cpu.values()),
        "process_ms_per_exec": cpu["process"],
        "execs_per_second": many["rate"],
    }


def _run(process: int, state: Mapping[str, Any], client: Client, size: int) -> Found:
    """Run a Parallel; return CPU seconds of the process and the workers, and Execs per second."""
    root = co.Parallel(image=IMAGES[1], cpu=0.25, mem=0.5)
    for number in range(size):
        root[f"n{number:03}"] = co.Exec("true")
    began = _cpu_of(process)
    with _Workers(state["mark"]) as workers:
        pipeline = client.launch(LaunchRequest(tree=to_launch_form(root), run=True)).pipeline.id
        end = time.monotonic() + _TIMEOUT
        while not client.get(pipeline).pipeline.status.settled:
            if time.monotonic() > end:
                raise BenchError(f"a pipeline did not finish within {_TIMEOUT:.0f} s")
            time.sleep(_POLL_SECONDS)
    cpu = _cpu_of(process) - began
    attempts = [a for n in range(size) for a in client.attempts(pipeline, f"/n{n:03}")]
    if [attempt.state for attempt in attempts] != [State.DONE] * size:
        raise BenchError("some commands failed or were retried: the results are invalid")
    first, last = min(a.started or 0.0 for a in attempts), max(a.ended or 0.0 for a in attempts)
    return {"process": cpu, "workers": workers.seconds, "rate": size / (last - first)}


@contextlib.contextmanager
def _emulator(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Start an emulator; yield its process id and its state."""
    folder.mkdir()
    log = folder / "log.txt"
    path = os.pathsep.join(str(ROOT / name) for name in (".", "functions", "emulator"))
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "conducto_emulator", str(folder)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=file,
            stderr=file,
        )
    try:
        state, end = folder / "emulator.json", time.monotonic() + _START_SECONDS
        while not state.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise BenchError(f"the emulator did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield process.pid, json.loads(state.read_text())
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def _set_plan(state: Mapping[str, Any]) -> None:
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  slow

    client = boto3.client(
        "lambda",
        region_name=state["region"],
        endpoint_url=state["aws"],
        aws_access_key_id=state["key"]["id"],
        aws_secret_access_key=state["key"]["secret"],
    )
    plan = {"kind": "set_plan", "org": "local", "max_workers": _WORKERS, "max_pipelines": 100}
    name = function_name(EMULATOR_STAGE, "admin")
    response = client.invoke(FunctionName=name, Payload=json.dumps(plan))
    if response.get("FunctionError"):
        raise BenchError(f"the plan was not set: {response['Payload'].read()!r}")


def _cpu_of(process: int) -> float:
    """Return the CPU seconds of a process: user and system time."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Workers:
    """Measures the CPU time of the containers of an emulator, which end at any time.

    Attributes:
        seconds: The CPU seconds of all of them.
    """

    def __init__(self, mark: str) -> None:
        self.seconds = 0.0
        self._filters = json.dumps({"label": [f"{_LABEL}={mark}"]})
        self._seen: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self.seconds = -sum(self._seen.values())  # before, for other pipelines
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        self.seconds += sum(self._seen.values())

    def _watch(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            self._look()

    def _look(self) -> None:
        with contextlib.closing(EngineApi()) as engine:
            for found in engine.call("GET", "/containers/json", filters=self._filters):
                with contextlib.suppress(RefusedError, KeyError):  # it has ended meanwhile
                    now = _usage(engine, found["Id"])
                    self._seen[found["Id"]] = max(now, self._seen.get(found["Id"], 0.0))


def _usage(engine: EngineApi, container: str) -> float:
    more: dict[str, Any] = {"one-shot": True}
    stats = engine.call("GET", f"/containers/{container}/stats", stream=False, **more)
    return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
