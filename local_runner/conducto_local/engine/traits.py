"""Differences between engines, and the resulting limitations of containers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conducto_local.engine import metadata
from conducto_local.engine.address import Address
from conducto_local.engine.container import create_body
from conducto_local.engine.http import ApiError, HttpClient
from conducto_local.ports import WorkerSpec

#: `EngineInfo.unenforced`: the fields of ``GET /info`` that must be true for each limit.
_FIELDS = {
    "cpu": ("CpuCfsQuota", "CpuCfsPeriod"),
    "memory": ("MemoryLimit",),
    "pids": ("PidsLimit",),
}
#: The first major version of Podman whose networks are known to support static routes.
_PODMAN_ROUTES = 5


@dataclass(frozen=True, slots=True)
class Traits:
    """The differences of one engine from others.

    Attributes:
        podman: Version of Podman; None for another engine.
        unenforced: As in `EngineInfo`.
        block_metadata: See `conducto_local.engine.metadata`.
        warnings: As in `EngineInfo`.
    """

    podman: str | None = None
    unenforced: frozenset[str] = frozenset()
    block_metadata: bool = True
    warnings: tuple[str, ...] = ()

    def create_body(self, spec: WorkerSpec, engine: Address) -> dict[str, Any]:
        """Return the body of ``POST /containers/create`` for a worker."""
        return create_body(
            spec, engine, unenforced=self.unenforced, block_metadata=self.block_metadata
        )


async def read_traits(
    client: HttpClient,
    version: Mapping[str, Any],
    info: Mapping[str, Any],
    env: Mapping[str, str],
) -> Traits:
    """Return the traits of an engine.

    Args:
        client: The engine.
        version: Its response to ``GET /version``.
        info: Its response to ``GET /info``.
        env: The agent's environment.
    """
    podman = _podman_version(version)
    controllers = None if podman is None else await _controllers(client)
    unenforced = _unenforced(info, controllers)
    servers = metadata.link_local_servers()
    block = not metadata.is_allowed(env) and not servers
    warnings = [*_limit_warnings(unenforced)]
    if not metadata.is_allowed(env):
        warnings += _metadata_warnings(podman, servers)
    return Traits(podman, unenforced, block, tuple(warnings))


def _podman_version(version: Mapping[str, Any]) -> str | None:
    for component in version.get("Components") or ():
        if component.get("Name") == "Podman Engine":
            return str(component.get("Version", ""))
    return None


async def _controllers(client: HttpClient) -> list[str] | None:
    """Return the cgroup controllers that Podman may use; None if unknown."""
    try:
        found = await client.call("GET", "/libpod/info")
    except ApiError:
        return None
    host = found.get("host") or {}
    if (host.get("security") or {}).get("rootless") and host.get("cgroupVersion") == "v1":
        return []  # it lists the machine's, but cannot use them
    controllers = host.get("cgroupControllers")
    return None if controllers is None else list(controllers)


def _unenforced(info: Mapping[str, Any], controllers: list[str] | None) -> frozenset[str]:
    if info.get("CgroupDriver") == "none":
        return frozenset(_FIELDS)
    missing = {
        limit
        for limit, fields in _FIELDS.items()
        if any(info.get(field) is False for field in fields)
    }
    if controllers is not None:
        missing |= _FIELDS.keys() - set(controllers)
    return frozenset(missing)


def _limit_warnings(unenforced: frozenset[str]) -> list[str]:
    if not unenforced:
        return []
    names = {"cpu": "cpu=", "memory": "mem=", "pids": "the limit on processes"}
    listed = ", ".join(names[limit] for limit in sorted(unenforced))
    return [
        (
            f"this container engine does not enforce {listed}: a command can use all that the "
            "machine has. Rootless engines enforce limits only with cgroup v2 and its controllers "
            "delegated to the user; see docs/concepts/local-runner-and-agent.md"
        )
    ]


def _metadata_warnings(podman: str | None, servers: list[str]) -> list[str]:
    if servers:
        return [
            (
                f"containers can reach the cloud's metadata address {metadata.ADDRESS}, because "
                f"the name server {servers[0]} is link-local too. Block it in the firewall, or "
                f"allow it: {metadata.VARIABLE}=on"
            )
        ]
    major = "" if podman is None else podman.partition(".")[0]
    if major.isdigit() and int(major) < _PODMAN_ROUTES:
        return [
            (
                f"containers may reach the cloud's metadata address {metadata.ADDRESS}: Podman "
                f"{podman} may not support routes of networks. Use Podman 5 or later, or "
                f"allow it: {metadata.VARIABLE}=on"
            )
        ]
    return []
