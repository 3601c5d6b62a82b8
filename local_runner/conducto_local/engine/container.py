"""From a `WorkerSpec` to what the Engine API is asked to create. No I/O."""

from collections.abc import Collection
from typing import Any

from conducto_core.runtime.command_server import RUN_DIRECTORY, server_argv
from conducto_local.engine import metadata
from conducto_local.engine.address import Address
from conducto_local.engine.run_args import apply_run_args
from conducto_local.ports import WorkerSpec

SOCKET = "/var/run/docker.sock"
#: Processes and threads of a container: enough for any build, too few for a fork bomb to hurt.
MAX_PIDS = 4096
#: The words of Docker and Podman for: no program gets more rights than the one that starts it.
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
    """Return the body of ``POST /containers/create`` for a worker.

    Args:
        spec: The worker.
        engine: Where the engine listens.
        unenforced: Limits that the engine cannot set, as in `EngineInfo`; some refuse them.
        block_metadata: See `conducto_local.engine.metadata`.

    Raises:
        RunArgsError: ``docker_run_args`` holds what cannot be granted.
    """
    body: dict[str, Any] = {
        "Image": spec.image,
        # Given here, the image's own entrypoint and command fall away, both of them.
        "Entrypoint": server_argv(spec.shell),
        "Cmd": [],
        "Env": [],
        "Labels": dict(spec.labels),
        "Tty": False,
        "OpenStdin": True,
        # When we vanish, the server reads the end of its stdin, and the container ends.
        "StdinOnce": True,
        # A container is removed when its commands have ended. Podman would wait 10 s for it.
        "StopTimeout": 0,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        # The image's health check would be a stranger among the command's processes.
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
        # The server is process 1 itself: an init above it could be killed from below.
        "Init": False,
        "NanoCpus": int(spec.cpu * _NANO),
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": MAX_PIDS,
        "Mounts": _mounts(spec, engine),
        "Tmpfs": {RUN_DIRECTORY: "rw,exec,mode=1777,size=256m"},
        # Output comes through the attach; the engine need not write it a second time.
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
    """Return the socket's path where the engine runs.

    Docker Desktop runs in a machine of its own, whose socket has the usual name.
    """
    if engine.path is None or engine.path.endswith("/.docker/run/docker.sock"):
        return SOCKET
    return engine.path
