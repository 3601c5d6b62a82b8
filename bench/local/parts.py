"""The CPU time of a command by part: it is the same on a busy machine, unlike the wall time."""

import os
import resource
from pathlib import Path

from bench.local.commands import flat
from bench.local.lab import LocalLab
from bench.registry import BenchError

Found = dict[str, float]
_COUNT = 1000
_ENGINE = ("dockerd", "containerd", "podman", "conmon")


def cpu_parts(lab: LocalLab) -> Found:
    """Run 1,000 commands; return the CPU time of each part for each command, in ms.

    The engine's part includes what others ask of it meanwhile.
    """
    engine, client, agent = _engine(), _own(), lab.agent.cpu()
    pipeline = lab.agent.run(flat(_COUNT)).pipeline
    found = {
        "agent_ms": lab.agent.cpu() - agent,
        "client_ms": _own() - client,
        "engine_ms": _more(engine, _engine()),
        "containers_ms": sum(map(lab.api.cpu, _containers(lab, pipeline))),
    }
    parts = {name: 1000 * seconds / _COUNT for name, seconds in found.items()}
    return {"cpu_ms_per_exec": sum(parts.values()), **parts}


def _own() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _containers(lab: LocalLab, pipeline: str) -> set[str]:
    paths = (f"/n{i:06}" for i in range(0, _COUNT, 10))
    attempts = (lab.agent.client.attempts(pipeline, path)[-1] for path in paths)
    found = {attempt.container for attempt in attempts if attempt.container}
    if not found:
        raise BenchError(f"no command of {pipeline} ran in a container")
    return found


def _engine() -> dict[int, float]:
    """Return the CPU seconds of the engine's processes by their ids."""
    ticks = os.sysconf("SC_CLK_TCK")
    found: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has ended
            continue
        if name.startswith(_ENGINE):
            fields = rest.split()
            found[int(entry.name)] = (int(fields[11]) + int(fields[12])) / ticks
    return found


def _more(before: dict[int, float], after: dict[int, float]) -> float:
    return sum(max(0.0, used - before.get(process, 0.0)) for process, used in after.items())
