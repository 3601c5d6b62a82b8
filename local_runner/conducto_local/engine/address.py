"""Addresses of the container engine, and the error if none is reachable."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from conducto_local.ports import EngineError

WITHOUT = "or run without containers: --engine process"
_TCP_PORT = 2375
_PROGRAMS = ("docker", "dockerd", "podman")


@dataclass(frozen=True, slots=True)
class Address:
    """A unix socket, or a TCP host and port.

    Attributes:
        path: Absolute path of the socket; None for TCP.
    """

    path: str | None = None
    host: str = ""
    port: int = _TCP_PORT

    def __str__(self) -> str:
        return f"tcp://{self.host}:{self.port}" if self.path is None else f"unix://{self.path}"


def candidates(env: Mapping[str, str]) -> list[Address]:
    """Return the addresses to try, best first.

    ``DOCKER_HOST`` is the only one if it is set; otherwise the default sockets of Docker and
    Podman.

    Raises:
        EngineError: ``DOCKER_HOST`` is not supported.
    """
    given = env.get("DOCKER_HOST", "")
    if given:
        return [_parse(given, env)]
    sockets = ["/var/run/docker.sock"]
    if "HOME" in env:
        sockets.append(f"{env['HOME']}/.docker/run/docker.sock")
    if "XDG_RUNTIME_DIR" in env:
        sockets.append(f"{env['XDG_RUNTIME_DIR']}/docker.sock")
        sockets.append(f"{env['XDG_RUNTIME_DIR']}/podman/podman.sock")
    return [Address(path=path) for path in sockets]


def _parse(given: str, env: Mapping[str, str]) -> Address:
    parts = urlsplit(given)
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return Address(path=parts.path)
    if parts.scheme == "tcp" and parts.hostname and not env.get("DOCKER_TLS_VERIFY"):
        return Address(host=parts.hostname, port=parts.port or _TCP_PORT)
    raise EngineError(
        f"DOCKER_HOST is {given!r}, which is not supported: only unix:///path and "
        f"tcp://host:port without TLS are. Unset it to use this machine's engine, {WITHOUT}"
    )


def unreachable(tried: Mapping[Address, OSError], search_path: str | None) -> EngineError:
    """Return the error for the case that no engine is reachable.

    Args:
        tried: ``{address: error}``, in the order in which they were tried.
        search_path: Value of ``PATH``, to find out whether an engine is installed.
    """
    for address, error in tried.items():
        if isinstance(error, PermissionError):
            return EngineError(_not_permitted(address))
    present = [address for address, error in tried.items() if not _is_missing(address, error)]
    installed = any(shutil.which(name, path=search_path) for name in _PROGRAMS)
    if not present and not installed:
        return EngineError(
            "no container engine is installed (neither docker nor podman was found). Install one "
            "(Debian and Ubuntu: sudo apt install docker.io; Mac and Windows: Docker Desktop), "
            + WITHOUT
        )
    address = present[0] if present else next(iter(tried))
    reason = tried[address].strerror or type(tried[address]).__name__
    return EngineError(
        f"the container engine is not running: no response at {address} ({reason.lower()}). "
        f"Start it (sudo systemctl start docker, or open Docker Desktop), {WITHOUT}"
    )


def _is_missing(address: Address, error: OSError) -> bool:
    return address.path is not None and isinstance(error, FileNotFoundError)


def _not_permitted(address: Address) -> str:
    group = "docker"
    if address.path is not None:
        try:
            group = Path(address.path).group()
        except (OSError, KeyError):
            group = "docker"
    return (
        f"no permission to use the container engine at {address}. Add yourself to its group "
        f"(sudo usermod -aG {group} $USER), log out and in again, {WITHOUT}"
    )
