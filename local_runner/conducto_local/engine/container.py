"""From a `WorkerSpec` to the body of the Engine API's create request. No I/O."""

from collections.abc import Collection
from typing import Any

from conducto_core.runtime.command_server import RUN_DIRECTORY, server_argv
from conducto_local.engine import metadata
from conducto_local.engine.address import Address
from conducto_local.engine.pipes import PIPES_DIRECTORY
from conducto_local.engine.run_args import apply_run_args
from conducto_local.ports import WorkerSpec

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
        **(metadata.endpoint(spec.network) if block_metadata else {}),
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
