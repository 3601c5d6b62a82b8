"""From a `WorkerSpec` to the body of the Engine API's create request. No I/O."""

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conducto.wire.services import Service
from conducto_core.command.server import RUN_DIRECTORY, server_argv
from conducto_local.engine.docker.http import Address, EngineApiError, HttpClient
from conducto_local.engine.docker.run_args import apply_run_args
from conducto_local.engine.docker.streams import PIPES_DIRECTORY
from conducto_local.engine.port import WorkerSpec

# ----------------------------------------------------------------------------------------
# Blocks the metadata address of clouds, which provides the machine's credentials.
#
# Containers must not reach it. No engine has a setting for that, and an agent may not change the
# machine's firewall, so the network of containers is set up such that the address is unreachable:
#
# - Docker gives each container the address itself, as a link-local address of its interface.
#   Connections to it are refused inside the container; other containers and the host are not
#   affected.
# - Podman gives a network a static route to it through an unused address of the network.
#
# The IPv6 address, ``fd00:ec2::254``, is unreachable because the networks are created without IPv6.


ADDRESS = "169.254.169.254"
#: The network of this address, which becomes unreachable with Docker.
_LINK_LOCAL = ipaddress.ip_network("169.254.0.0/16")
#: Environment variable of the agent that allows containers to reach the address.
VARIABLE = "CONDUCTO_METADATA"
#: Files with an engine's name servers; the second if systemd-resolved is in use.
_RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
#: Networks without addresses of their own, or not created by Conducto.
_SPECIAL = frozenset({"none", "host", "bridge", "default"})


def is_allowed(env: Mapping[str, str]) -> bool:
    """Return whether the agent's environment lets containers reach the address."""
    return env.get(VARIABLE) == "on"


def link_local_servers(resolvers: Iterable[Path] = _RESOLVERS) -> list[str]:
    """Return the machine's name servers that containers could no longer reach.

    Google's virtual machines use the metadata address itself as their name server.
    """
    found = set()
    for path in resolvers:
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        found |= {line.split()[-1] for line in lines if line.startswith("nameserver")}
    return sorted(filter(_is_link_local, found))


def _is_link_local(server: str) -> bool:
    try:
        return ipaddress.ip_address(server) in _LINK_LOCAL
    except ValueError:
        return False


def endpoint(network: str | None) -> dict[str, Any]:
    """Return additions to a container's create request for Docker; empty for special networks."""
    if network is None or network in _SPECIAL:
        return {}
    config = {"IPAMConfig": {"LinkLocalIPs": [ADDRESS]}}
    return {"NetworkingConfig": {"EndpointsConfig": {network: config}}}


def podman_network(name: str, labels: Mapping[str, str], subnet: str) -> dict[str, Any]:
    """Return the body of Podman's own ``POST /libpod/networks/create``."""
    unused = str(ipaddress.ip_network(subnet)[-2])
    return {
        "name": name,
        "driver": "bridge",
        "dns_enabled": True,
        "ipv6_enabled": False,
        "labels": dict(labels),
        "options": {"isolate": "true"},
        "subnets": [{"subnet": subnet}],
        "routes": [{"destination": f"{ADDRESS}/32", "gateway": unused}],
    }


SOCKET = "/var/run/docker.sock"
#: Maximum number of processes and threads of a container: enough for any build, too few for a fork
#: bomb to do harm.
MAX_PIDS = 4096
#: The option of Docker and Podman by which no program gets more rights than its parent.
NO_NEW_PRIVILEGES = "no-new-privileges"
_GB = 2**30
_NANO = 10**9


_LIMIT_FIELDS = {"cpu": ["NanoCpus"], "memory": ["Memory", "MemorySwap"], "pids": ["PidsLimit"]}


def create_body(
    spec: WorkerSpec,
    engine: Address,
    *,
    unenforced: Collection[str] = (),
    block_metadata: bool = True,
) -> dict[str, Any]:
    """Return the body of ``POST /containers/create`` for a worker."""
    body: dict[str, Any] = {
        "Image": spec.image,
        # Replaces the entrypoint and the command of the image.
        "Entrypoint": [*server_argv(spec.shell), "", PIPES_DIRECTORY],
        "Cmd": [],
        "Env": [],
        "Labels": dict(spec.labels),
        "Tty": False,
        "OpenStdin": True,
        # When the agent exits, the server reads the end of its stdin and the container ends.
        "StdinOnce": True,
        # A container is removed after its commands have ended. Podman would wait 10 s for it.
        "StopTimeout": 0,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        # The image's health check would run among the command's processes.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(spec, engine),
        **(endpoint(spec.network) if block_metadata else {}),
    }
    for limit in unenforced:
        for field in _LIMIT_FIELDS[limit]:
            del body["HostConfig"][field]
    if spec.workdir is not None:
        body["WorkingDir"] = spec.workdir
    apply_run_args(body, spec.docker_run_args)
    options = body["HostConfig"].setdefault("SecurityOpt", [])
    if not any(option.startswith(NO_NEW_PRIVILEGES) for option in options):
        options.append(NO_NEW_PRIVILEGES)
    return body


def service_body(
    spec: WorkerSpec,
    service: Service,
    hosts: Sequence[str],
    *,
    unenforced: Collection[str] = (),
    block_metadata: bool = True,
) -> dict[str, Any]:
    """Return the body of ``POST /containers/create`` for a service of a worker.

    Args:
        spec: The worker.
        service: The service.
        hosts: ``name:address`` of the services before it.
        unenforced: As in `EngineInfo`.
        block_metadata: See `Traits`.
    """
    memory = int(service.mem * _GB)
    config: dict[str, Any] = {
        "NanoCpus": int(service.cpu * _NANO),
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": MAX_PIDS,
        # Output comes through the attach; the engine need not store it as well.
        "LogConfig": {"Type": "none"},
        "RestartPolicy": {"Name": "no"},
        "NetworkMode": spec.network,
        "ExtraHosts": list(hosts),
        "SecurityOpt": [NO_NEW_PRIVILEGES],
    }
    for limit in unenforced:
        for field in _LIMIT_FIELDS[limit]:
            del config[field]
    return {
        "Image": service.image,
        "Env": [f"{name}={value}" for name, value in service.env.items()],
        **({"Cmd": list(service.command)} if service.command else {}),
        "Labels": dict(spec.labels),
        "StopTimeout": 0,
        "AttachStdout": True,
        "AttachStderr": True,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": config,
        **(endpoint(spec.network) if block_metadata else {}),
    }


def _host_config(spec: WorkerSpec, engine: Address) -> dict[str, Any]:
    memory = int(spec.mem * _GB)
    config: dict[str, Any] = {
        # The server must be process 1: a command could kill an init process above it.
        "Init": False,
        "NanoCpus": int(spec.cpu * _NANO),
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": MAX_PIDS,
        "Mounts": _mounts(spec, engine),
        "Tmpfs": {RUN_DIRECTORY: "rw,exec,mode=1777,size=256m"},
        # Output comes through the attach; the engine need not store it as well.
        "LogConfig": {"Type": "none"},
        "RestartPolicy": {"Name": "no"},
    }
    if spec.network is not None:
        config["NetworkMode"] = spec.network
    if spec.hosts:
        config["ExtraHosts"] = list(spec.hosts)
    if spec.gpu > 0:
        config["DeviceRequests"] = [{"Count": spec.gpu, "Capabilities": [["gpu"]]}]
    return config


def _mounts(spec: WorkerSpec, engine: Address) -> list[dict[str, Any]]:
    mounts = [
        {"Type": "bind", "Source": m.source, "Target": m.target, "ReadOnly": m.read_only}
        for m in spec.mounts
    ]
    if spec.requires_docker:
        source = _socket_source(engine)
        mounts.append({"Type": "bind", "Source": source, "Target": SOCKET, "ReadOnly": False})
    return mounts


def _socket_source(engine: Address) -> str:
    """Return the path of the socket on the machine that runs the engine.

    Docker Desktop runs in a virtual machine, whose socket has the default path.
    """
    if engine.path is None or engine.path.endswith("/.docker/run/docker.sock"):
        return SOCKET
    return engine.path


# ----------------------------------------------------------------------------------------
# Differences between engines, and the resulting limitations of containers.


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
        block_metadata: See `conducto_local.engine.docker.container`.
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

    def service_body(
        self, spec: WorkerSpec, service: Service, hosts: Sequence[str]
    ) -> dict[str, Any]:
        """Return the body of ``POST /containers/create`` for a service of a worker."""
        return service_body(
            spec,
            service,
            hosts,
            unenforced=self.unenforced,
            block_metadata=self.block_metadata,
        )


async def read_traits(
    client: HttpClient,
    version: Mapping[str, Any],
    info: Mapping[str, Any],
    env: Mapping[str, str],
) -> Traits:
    """Return the traits of an engine.

    Args:
        version: Its response to ``GET /version``.
        info: Its response to ``GET /info``.
    """
    podman = _podman_version(version)
    controllers = None if podman is None else await _controllers(client)
    unenforced = _unenforced(info, controllers)
    servers = link_local_servers()
    block = not is_allowed(env) and not servers
    warnings = [*_limit_warnings(unenforced)]
    if not is_allowed(env):
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
    except EngineApiError:
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
                f"containers can reach the cloud's metadata address {ADDRESS}, because "
                f"the name server {servers[0]} is link-local too. Block it in the firewall, or "
                f"allow it: {VARIABLE}=on"
            )
        ]
    major = "" if podman is None else podman.partition(".")[0]
    if major.isdigit() and int(major) < _PODMAN_ROUTES:
        return [
            (
                f"containers may reach the cloud's metadata address {ADDRESS}: Podman "
                f"{podman} may not support routes of networks. Use Podman 5 or later, or "
                f"allow it: {VARIABLE}=on"
            )
        ]
    return []
