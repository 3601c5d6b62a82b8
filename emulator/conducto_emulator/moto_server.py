"""moto's server in this process, reachable from this machine and from its containers."""

import logging
import os
import socket
import urllib.request
from functools import partial
from typing import Any

from docker.errors import DockerException  # type: ignore[import-untyped]
from moto import backends
from moto.core.config import default_user_config
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

import docker  # type: ignore[import-untyped]
from conducto_emulator import moto_shim, moto_table
from conducto_emulator.short_way import ShortWay

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
    """

    def __init__(self, host: str, port: int) -> None:
        self.endpoint = f"http://{host}:{port}"
        self._servers = [
            ThreadedMotoServer(each, port, verbose=False) for each in (host, _LOOPBACK)
        ]
        application = DomainDispatcherApplication(create_backend_app)
        self._short_way = ShortWay(self.endpoint, application)
        os.environ["MOTO_PORT"] = str(port)

    def start(self) -> None:
        """Serve an account in which nothing is yet."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        moto_shim.install()
        moto_table.install()
        # The list of its modules is read from the disk for every request.
        backends.list_of_moto_modules = partial(tuple, tuple(backends.list_of_moto_modules()))
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        for each in self._servers:
            each.start()
        # What an emulator before this one left in the process.
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")  # noqa: S310
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 (our own server)
        self._short_way.open()

    def close(self) -> None:
        """Serve no more."""
        self._short_way.close()
        for each in self._servers:
            each.stop()
