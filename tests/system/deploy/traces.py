"""Traces that a sandbox could leave on the machine. It must leave none."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from support import stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: How names of containers begin that ministack starts.
CONTAINERS = "/ministack"
_LISTENING = "0A"
_SOCKETS = ("tcp", "tcp6", "udp", "udp6")
#: The name server, AWS, and AWS without TLS.
PORTS = frozenset({53, 443, 4566})


def found(folder: Path) -> dict[str, object]:
    """Return the machine's state that a sandbox in ``folder`` could change."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "/etc/hosts": Path("/etc/hosts").read_text(),
        "/etc/resolv.conf": Path("/etc/resolv.conf").read_text(),
        "containers": sorted(_containers()),
        "mounts": [line for line in mounts if str(folder) in line],
        "ports": sorted(PORTS & set(ports())),
    }


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return a line for each thing that is not as it was."""
    return [
        f"{name}: {before[name]!r} became {after[name]!r}"
        for name in before
        if before[name] != after[name]
    ]


def ports() -> Iterator[int]:
    """Yield the ports that somebody listens at, in this network."""
    for kind in _SOCKETS:
        for line in Path("/proc/net", kind).read_text().splitlines()[1:]:
            words = line.split()
            if kind.startswith("udp") or words[3] == _LISTENING:
                yield int(words[1].rpartition(":")[2], 16)


def namespaces(pid: int) -> set[str]:
    """Return the network of a process, and the process namespace of its children."""
    place = Path("/proc", str(pid), "ns")
    return {str((place / kind).readlink()) for kind in ("net", "pid_for_children")}


def processes(spaces: set[str]) -> list[int]:
    """Return the processes that are in one of these namespaces."""
    return [int(place.name) for place in Path("/proc").glob("[0-9]*") if spaces & _spaces_of(place)]


def _spaces_of(process: Path) -> set[str]:
    with suppress(OSError):  # it has ended
        return {str((process / "ns" / kind).readlink()) for kind in ("net", "pid")}
    return set()


def _containers() -> Iterator[str]:
    try:
        status, body = stand_ins.call("GET", "/containers/json", {"all": "1"})[:2]
    except stand_ins.StandInError:  # the machine has no engine
        return
    if status == 200:
        for container in json.loads(body):
            yield from (name for name in container["Names"] if name.startswith(CONTAINERS))
