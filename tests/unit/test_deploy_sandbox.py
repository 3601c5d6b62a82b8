"""`make test-deploy` without root is skipped, and what its name server answers."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deploy import baseline, name_server, sandbox, traces

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


@pytest.mark.skipif(not baseline.has_history(), reason="the checkout is without its history")
def test_the_baseline_is_an_earlier_version_of_this_one() -> None:
    tag, commit = baseline.named()
    words = ("git", "-c", "safe.directory=*", "-C", str(baseline.ROOT))
    tagged = subprocess.run(
        [*words, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()

    subprocess.run([*words, "merge-base", "--is-ancestor", commit, "HEAD"], check=True)
    assert tagged in ("", commit)  # a clone may have no tags


def test_a_missing_baseline_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)

    with pytest.raises(baseline.BaselineError, match="git fetch --unshallow"):
        baseline.archive_of(tmp_path, baseline.named()[1])
