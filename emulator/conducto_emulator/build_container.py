"""The container for image builds, with this machine's programs but no other files.

A build needs a docker client, curl, git and common tools. Those of this machine are mounted
read-only, so that nothing is downloaded. The container has the engine's socket and the build's
directory, but no home directories and neither files nor environment of the emulator.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from docker.errors import DockerException, NotFound  # type: ignore[import-untyped]

import docker  # type: ignore[import-untyped]

#: Directories with the programs of a Linux system; missing ones are skipped.
_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_SETTINGS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl/certs", "/etc/pki/tls/certs")
_CLIENT_SETTINGS = "/conducto/docker"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_PROCESSES = 512


class BuildContainer:
    """Runs the commands of one build at a time.

    Args:
        image: Any image; it only provides a root file system.
        labels: Labels of the containers.
    """

    def __init__(self, image: str, labels: Mapping[str, str]) -> None:
        self._image = image
        self._labels = dict(labels)
        self._id: str | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._engine: Any = docker.from_env()

    def run(
        self, folder: Path, commands: Sequence[str], env: Mapping[str, str], seconds: float
    ) -> int | None:
        """Run commands in a directory; return the exit code, or None if they were stopped.

        They are stopped at the time limit, and by `close`.
        """
        api = self._engine.api
        made = api.create_container(
            self._image,
            entrypoint=["/bin/sh", "-ec", "\n".join(commands)],
            command=[],
            environment={**_own_env(folder), **env},
            working_dir=str(folder),
            user=f"{os.getuid()}:{os.getgid()}",
            labels=self._labels,
            host_config=self._host_config(folder),
        )
        with self._lock:
            self._id = made["Id"]
            if not self._closed:
                api.start(self._id)
        try:
            code = (
                None if self._closed else int(api.wait(made["Id"], timeout=seconds)["StatusCode"])
            )
        except (NotFound, requests.ConnectionError, requests.Timeout):
            code = None
        finally:
            self._remove()
        return None if self._closed else code

    def close(self) -> None:
        """Stop the running build and start no more."""
        with self._lock:
            self._closed = True
        self._remove()

    def _remove(self) -> None:
        name, self._id = self._id, None
        if name is not None:
            with contextlib.suppress(DockerException):
                self._engine.api.remove_container(name, force=True, v=True)

    def _host_config(self, folder: Path) -> Any:
        socket = _socket()
        return self._engine.api.create_host_config(
            binds=[*_binds(), f"{folder}:{folder}", f"{socket}:{socket}"],
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=_MAX_PROCESSES,
            group_add=[str(socket.stat().st_gid)],
        )


def _socket() -> Path:
    """Return the local engine's socket; remote engines are not supported."""
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    return Path(address.removeprefix("unix://"))


def _binds() -> Iterator[str]:
    for place in map(Path, (*_PROGRAMS, *_SETTINGS)):
        if place.exists():
            yield f"{place.resolve()}:{place}:ro"
    # The user's registry credentials, for private base images.
    settings = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    if settings.is_dir():
        yield f"{settings}:{_CLIENT_SETTINGS}:ro"


def _own_env(folder: Path) -> dict[str, str]:
    return {
        "PATH": _PATH,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "DOCKER_HOST": f"unix://{_socket()}",
        "DOCKER_CONFIG": _CLIENT_SETTINGS,
        "BUILDX_CONFIG": f"{folder}/.buildx",
    }
