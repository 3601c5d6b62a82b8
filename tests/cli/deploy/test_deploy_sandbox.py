"""`make test-deploy` without root is skipped, and what its name server answers."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from system.deploy import name_server, older_version, sandbox, traces

if TYPE_CHECKING:
    from pathlib import Path


def _query(name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def test_deployment_without_root_is_skipped_with_a_reason() -> None:
    assert "need root" in str(sandbox.missing(user=1000))


def test_names_of_aws_lead_to_the_sandbox() -> None:
    response = name_server.response(_query("s3.us-east-1.amazonaws.com"), "192.0.2.1", "unused")

    assert response.endswith(socket.inet_aton("192.0.2.1"))
    assert struct.unpack(">H", response[6:8]) == (1,)


def test_a_registry_that_limits_pulls_has_no_address() -> None:
    response = name_server.response(_query("registry-1.docker.io"), "192.0.2.1", "unused")

    assert response[3] & 0x0F == 3  # NXDOMAIN
    assert struct.unpack(">H", response[6:8]) == (0,)


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces need Linux")
def test_processes_of_a_namespace_are_found() -> None:
    spaces = traces.namespaces(os.getpid())

    assert os.getpid() in traces.processes(spaces)
    assert traces.processes({"net:[1]", "pid:[1]"}) == []


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_used_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port in traces.ports()

    assert port not in traces.ports()


def test_a_change_of_the_machine_is_named() -> None:
    before = {"/etc/hosts": "127.0.0.1 localhost", "ports": [53]}

    assert traces.changes(before, before) == []
    assert traces.changes(before, {**before, "ports": [53, 443]}) == [
        "ports: [53] became [53, 443]"
    ]


def test_the_older_version_is_a_copy_with_its_own_number(tmp_path: Path) -> None:
    interpreter = older_version.install(tmp_path)

    printed = subprocess.run(
        [interpreter, "-c", "import conducto; print(conducto.__version__, conducto.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout.split()

    assert printed == [older_version.VERSION, str(tmp_path / "older/sdk/conducto/__init__.py")]
