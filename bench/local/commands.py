"""The cost of commands that do nothing, in warm and in fresh containers."""

import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import conducto as co
from bench.local.agents import Times
from bench.local.heavy import nothing_heavy
from bench.local.lab import IMAGE, LocalLab
from bench.local.nothing import nothing
from bench.registry import BenchError
from conducto_core.command.server import FORKED

Found = dict[str, float]
#: Calls in a container before the first that runs in a fork: it starts with the second.
_BEFORE_FORKS = 2


def flat(count: int) -> co.Parallel:
    """Return a Parallel of ``count`` Execs."""
    root = co.Parallel()
    for i in range(count):
        root[f"n{i:06}"] = co.Exec("true")
    return root


def chain(count: int) -> co.Serial:
    """Return a Serial of ``count`` Execs."""
    root = co.Serial()
    for i in range(count):
        root[f"n{i:06}"] = co.Exec("true")
    return root


def two_level(groups: int, each: int) -> co.Parallel:
    """Return a Parallel of Parallels."""
    root = co.Parallel()
    for g in range(groups):
        root[f"g{g:04}"] = flat(each)
    return root


def serial_100(lab: LocalLab) -> Found:
    return _found(lab.agent.run(chain(100)), 100)


def parallel_1000(lab: LocalLab) -> Found:
    return _found(lab.agent.run(flat(1000)), 1000)


def two_level_1000(lab: LocalLab) -> Found:
    return _found(lab.agent.run(two_level(10, 100)), 1000)


def parallel_10000(lab: LocalLab) -> Found:
    return _found(lab.agent.run(flat(10_000)), 10_000)


def parallel_100000(lab: LocalLab) -> Found:
    """Use a separate agent, to measure its memory."""
    agent = lab.new_agent()
    try:
        agent.warm_up()
        found = _found(agent.run(flat(100_000)), 100_000)
        now, peak = agent.memory()
    finally:
        agent.stop()
    return {**found, "megabytes": now, "peak_megabytes": peak}


def process_1000(lab: LocalLab) -> Found:
    """Use plain processes instead of containers, so that only Conducto's own cost remains."""
    before = lab.agent.children_cpu()
    found = _found(lab.agent.run(flat(1000), engine="process"), 1000)
    commands = lab.agent.children_cpu() - before  # seconds for 1,000 = milliseconds for each
    return {**found, "cpu_ms_per_exec": found["agent_cpu_ms_per_exec"] + commands}


def fresh_30(lab: LocalLab) -> Found:
    """Use a container for each Exec; only the wall time includes the pipeline's network."""
    root = co.Parallel()
    for i in range(30):
        root[f"n{i:02}"] = co.Exec("true", container_reuse_context=co.ContainerReuseContext.NEW)
    return _found(lab.agent.run(root), 30)


def native_50(lab: LocalLab) -> Found:
    """Run a chain of Python functions in an image with their code and Conducto."""
    return _native(lab, nothing, 50, isolate=False)


def native_isolated_50(lab: LocalLab) -> Found:
    return _native(lab, nothing, 50, isolate=True)


def native_heavy_200(lab: LocalLab) -> Found:
    return _native(lab, nothing_heavy, 200, isolate=False)


def native_heavy_isolated_50(lab: LocalLab) -> Found:
    return _native(lab, nothing_heavy, 50, isolate=True)


def _native(lab: LocalLab, function: Callable[[], None], count: int, *, isolate: bool) -> Found:
    image = co.Image(IMAGE, copy_dir=str(Path(__file__).parent), install_pip=["conducto"])
    root = co.Serial(image=image, isolate=isolate)
    for i in range(count):
        root[f"n{i:03}"] = co.Exec(function)
    times = lab.agent.run(root)
    return {**_found(times, count), **_calls(lab, times.pipeline, count, forked=not isolate)}


def _calls(lab: LocalLab, pipeline: str, count: int, *, forked: bool) -> Found:
    """Return the time of a warm call, and the CPU time of the container for each of all calls."""
    client = lab.agent.client
    attempts = [client.attempts(pipeline, f"/n{i:03}")[-1] for i in range(count)]
    warm = attempts[_BEFORE_FORKS:]
    if any((attempt.interpreter == FORKED) is not forked for attempt in warm):
        raise BenchError(f"interpreters of the calls: {[a.interpreter for a in attempts]}")
    starts = [attempt.started or 0.0 for attempt in warm]
    return {
        "call_ms": 1000 * statistics.median(after - before for before, after in pairwise(starts)),
        "cpu_ms_per_exec": 1000 * lab.api.cpu(attempts[0].container or "") / count,
    }


def _found(times: Times, count: int) -> Found:
    return {
        "ms_per_exec": 1000 * times.wall / count,
        "warm_ms_per_exec": 1000 * times.warm / count,
        "agent_cpu_ms_per_exec": 1000 * times.agent_cpu / count,
    }
