"""moto's server in this process, reachable from this machine and from its containers."""

import logging
import os
import socket
import threading
from functools import partial
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
from conducto_emulator.signatures import Keys
from conducto_emulator.strict import StrictAws, Strictness

_LOOPBACK = "127.0.0.1"


class AddressError(Exception):
    """There is no address that both this machine and its containers can use."""


def shared_address() -> str:
    """Return an address of this machine that containers reach, and nobody outside.

    Raises:
        AddressError: the engine does not run, or runs on another machine.
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


class MotoServer:
    """Emulates AWS at one port of two addresses: containers' and the loopback.

    moto's own clients know no other than the loopback.

    Args:
        host: As `shared_address` returns it.
        keys: Those that may sign requests.
        page: Origin of the web app.
        strictness: None enforces no limits.
        latency: None delays nothing.
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
        limited = StrictAws(self._application, strictness, latency)
        door = AwsDoor(limited, keys, names)
        self._servers = [
            make_server(each, port, door, threaded=True, request_handler=MotoRequestHandler)
            for each in (host, _LOOPBACK)
        ]
        self._threads: list[threading.Thread] = []
        self._short_way = InProcessTransport(self.endpoint, limited)
        os.environ["MOTO_PORT"] = str(port)
        # Nobody asks for machine images; moto would make 1,300 with their disks.
        os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

    def start(self) -> None:
        """Serve an account in which nothing is yet."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        moto_shim.install()
        moto_table.install()
        # The list of its modules is read from the disk for every request.
        backends.list_of_moto_modules = partial(tuple, tuple(backends.list_of_moto_modules()))
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        moto_shim.sign_with(self._keys.own)
        # What an emulator before this one left in the process.
        Client(self._application).post("/moto-api/reset").close()
        for each in self._servers:
            thread = threading.Thread(target=each.serve_forever, args=(0.1,), daemon=True)
            self._threads.append(thread)
            thread.start()
        self._short_way.open()

    def close(self) -> None:
        """Serve no more."""
        self._short_way.close()
        for each in self._servers:
            if self._threads:
                each.shutdown()
            each.server_close()
        for thread in self._threads:
            thread.join()
