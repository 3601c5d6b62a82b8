"""Moto's server in this process, reachable from this machine and its containers."""

import json
import logging
import os
import socket
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from docker.errors import DockerException  # type: ignore[import-untyped]
from moto import backends
from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.test import Client

import docker  # type: ignore[import-untyped]
from conducto_emulator import moto_shim, moto_table
from conducto_emulator.doors import AwsDoor, Names
from conducto_emulator.in_process_transport import InProcessTransport
from conducto_emulator.latency import Latency
from conducto_emulator.moto_short_way import ShortWay
from conducto_emulator.signatures import Keys
from conducto_emulator.strict import StrictAws, Strictness

_LOOPBACK = "127.0.0.1"
_MAX_PORT = 65_535


class AddressError(Exception):
    """This machine and its containers have no common address."""


def shared_address() -> str:
    """Return an address of this machine that is reachable from containers, but not from outside.

    Raises:
        AddressError: The engine is not running, or runs on another machine.
    """
    try:
        bridge: Any = docker.from_env().networks.get("bridge")
        gateway = str(bridge.attrs["IPAM"]["Config"][0]["Gateway"])
    except (DockerException, KeyError, IndexError) as error:
        raise AddressError(f"the container engine has no bridge network: {error}") from error
    with socket.socket() as probe:
        try:
            probe.bind((gateway, 0))
        except OSError as error:
            raise AddressError(
                f"{gateway}, the engine's bridge, is not an address of this machine; "
                "the emulator needs an engine that runs on the same Linux"
            ) from error
    return gateway


def free_port(host: str) -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Ports:
    """The ports of an emulator, which stay the same when it starts again.

    Args:
        path: File with the ports by name.
        hosts: Addresses at which a port has to be free.
    """

    def __init__(self, path: Path, hosts: Sequence[str]) -> None:
        self._path, self._hosts = path, hosts

    def choose(self, name: str, wanted: int = 0) -> int:
        """Return and store a port: ``wanted``, or the last one of this name if it is free."""
        known = self._known()
        port = wanted or known.get(name, 0)
        if not wanted and not self._is_free(port):
            port = free_port(self._hosts[0])
        self._path.write_text(json.dumps({**known, name: port}), "utf-8")
        return port

    def _known(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {n: p for n, p in found.items() if isinstance(p, int) and 0 < p <= _MAX_PORT}

    def _is_free(self, port: int) -> bool:
        if port == 0:
            return False
        try:
            for host in self._hosts:
                socket.create_server((host, port)).close()
        except OSError:  # another program uses it
            return False
        return True


class MotoServer:
    """Emulates AWS at one port of two addresses: for containers and on the loopback interface.

    Moto's own clients only use the loopback address.

    Args:
        host: An address from `shared_address`.
        keys: The keys that may sign requests.
        page: Origin of the web app.
        strictness: None for no limits.
        latency: None for no delays.
    """

    def __init__(
        self,
        host: str,
        port: int,
        keys: Keys,
        page: str,
        *,
        strictness: Strictness | None = None,
        latency: Latency | None = None,
    ) -> None:
        self.endpoint = f"http://{host}:{port}"
        self._keys = keys
        self._application = DomainDispatcherApplication(create_backend_app)
        names = Names(frozenset(f"{each}:{port}" for each in (host, _LOOPBACK)), page)
        limited = StrictAws(ShortWay(self._application), strictness, latency)
        door = AwsDoor(limited, keys, names)
        self._servers = [
            make_server(each, port, door, threaded=True, request_handler=MotoRequestHandler)
            for each in (host, _LOOPBACK)
        ]
        self._threads: list[threading.Thread] = []
        self._short_way = InProcessTransport(self.endpoint, limited)
        os.environ["MOTO_PORT"] = str(port)
        # Machine images are not used; moto would create 1,300 of them with their disks.
        os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

    def start(self) -> None:
        """Serve an empty account."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        moto_shim.install()
        moto_table.install()
        # Otherwise the list of modules is read from the disk for every request.
        backends.list_of_moto_modules = partial(tuple, tuple(backends.list_of_moto_modules()))
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        moto_shim.sign_with(self._keys.own)
        # Remove the state of earlier emulators in this process.
        Client(self._application).post("/moto-api/reset").close()
        for each in self._servers:
            thread = threading.Thread(target=each.serve_forever, args=(0.1,), daemon=True)
            self._threads.append(thread)
            thread.start()
        self._short_way.open()

    def close(self) -> None:
        """Stop serving."""
        self._short_way.close()
        for each in self._servers:
            if self._threads:
                each.shutdown()
            each.server_close()
        for thread in self._threads:
            thread.join()
