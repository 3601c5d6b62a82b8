"""A minimal client of the Engine API, for the baselines.

The product's client is not used, so that its cost is not part of the baselines.
"""

import http.client
import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from bench.registry import BenchError

#: Label of the baselines' resources, by which they are found and removed.
LABEL = "com.conducto.test"
AREA = "bench"
_PREFIX = "unix://"
_CREATED = {200, 201, 204, 304}
_FRAME = 8


class RefusedError(BenchError):
    """The engine rejected a request.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, method: str, target: str, status: int, content: bytes) -> None:
        super().__init__(f"{method} {target}: the engine returned {status}: {content!r}")
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        self.sock = connected(self._path)


def connected(path: str) -> socket.socket:
    """Return a connection to the engine's socket."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    return sock


def socket_path() -> str:
    """Return the path of the engine's socket.

    Raises:
        BenchError: The engine is not on this machine.
    """
    host = os.environ.get("DOCKER_HOST", f"{_PREFIX}/var/run/docker.sock")
    if not host.startswith(_PREFIX):
        raise BenchError(f"DOCKER_HOST is {host!r}: the baselines need an engine on a unix socket")
    return host.removeprefix(_PREFIX)


class EngineApi:
    """One connection, kept open, for one thread."""

    def __init__(self) -> None:
        self.path = socket_path()
        self._connection = _UnixConnection(self.path)

    def call(
        self,
        method: str,
        target: str,
        body: Mapping[str, Any] | None = None,
        **params: str | int | bool,
    ) -> Any:
        """Send a request and return the response's JSON, or its bytes if it is not JSON.

        Raises:
            RefusedError: The engine rejected the request.
        """
        query = f"?{urlencode(params)}" if params else ""
        data = None if body is None else json.dumps(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        self._connection.request(method, target + query, data, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status not in _CREATED:
            raise RefusedError(method, target, response.status, content)
        if response.getheader("Content-Type") == "application/json":
            return json.loads(content)
        return content

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def create(
        self,
        image: str,
        command: list[str],
        env: Mapping[str, str] | None = None,
        /,
        **host_config: Any,
    ) -> str:
        """Create a container and return its id."""
        body = {
            "Image": image,
            "Env": [f"{name}={value}" for name, value in (env or {}).items()],
            "Entrypoint": command,
            "Cmd": [],
            "Labels": {LABEL: AREA},
            "HostConfig": host_config,
            "OpenStdin": True,
        }
        return str(self.call("POST", "/containers/create", body)["Id"])

    def cpu(self, container: str) -> float:
        """Return the CPU seconds of all processes of a running container so far."""
        stats = self.call("GET", f"/containers/{container}/stats", stream=False)
        return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9

    def remove(self, container: str) -> None:
        """Remove a container, running or not."""
        self.call("DELETE", f"/containers/{container}", force=True, v=True)

    def remove_labelled(self, label: str) -> None:
        """Remove containers, networks and images with the label ``name=value``."""
        filters = json.dumps({"label": [label]})
        for found in self.call("GET", "/containers/json", all=True, filters=filters):
            self.remove(found["Id"])
        for found in self.call("GET", "/networks", filters=filters):
            self.call("DELETE", f"/networks/{found['Id']}")
        while any(self._removed(image["Id"]) for image in self._images(filters)):
            pass  # base images can be removed once derived images are

    def _images(self, filters: str) -> list[dict[str, Any]]:
        return list(self.call("GET", "/images/json", filters=filters))

    def _removed(self, image: str) -> bool:
        """Remove an image unless it is in use; return whether it was removed."""
        try:
            self.call("DELETE", f"/images/{image}")
        except RefusedError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise
            return False
        return True


class ResidentShell:
    """A container with a shell that runs a command for each line it reads."""

    def __init__(self, api: EngineApi, image: str, command: str = "sh -c true") -> None:
        loop = f"while read -r line; do {command}; echo; done"
        self._api = api
        self._id = api.create(image, ["/bin/sh", "-c", loop], NetworkMode="none")
        self._socket = connected(api.path)
        request = f"POST /containers/{self._id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n"
        self._socket.sendall(
            f"{request}Host: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()
        )
        self._read_head()
        api.call("POST", f"/containers/{self._id}/start")

    def _read_head(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self._socket.recv(1)
            if not byte:
                raise BenchError(f"cannot attach to the container: {head!r}")
            head += byte

    def run(self) -> None:
        """Run the command once and wait for it."""
        self._socket.sendall(b"\n")
        expected = _FRAME + 1
        while expected > 0:
            response = self._socket.recv(expected)
            if not response:
                raise BenchError("the resident shell has ended")
            expected -= len(response)

    def close(self) -> None:
        """Remove the container."""
        self._socket.close()
        self._api.remove(self._id)


def in_threads(work: Callable[[int], None], threads: int) -> None:
    """Call ``work(number)`` in parallel threads and wait for all.

    Raises:
        BenchError: One of them failed.
    """
    errors: list[Exception] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except (BenchError, OSError, http.client.HTTPException) as error:
            errors.append(error)

    started = [threading.Thread(target=guarded, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if errors:
        raise BenchError(str(errors[0])) from errors[0]
