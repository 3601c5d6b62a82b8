"""`make test-deploy` without root is skipped, and what its name server answers."""

from __future__ import annotations

import socket
import struct

from deploy import name_server, sandbox


def _query(name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def test_without_root_the_deployment_is_skipped_and_says_so() -> None:
    assert "need root" in str(sandbox.missing(user=1000))


def test_names_of_aws_lead_to_the_sandbox() -> None:
    response = name_server.response(_query("s3.us-east-1.amazonaws.com"), "192.0.2.1", "unused")

    assert response.endswith(socket.inet_aton("192.0.2.1"))
    assert struct.unpack(">H", response[6:8]) == (1,)


def test_a_registry_that_limits_pulls_has_no_address() -> None:
    response = name_server.response(_query("registry-1.docker.io"), "192.0.2.1", "unused")

    assert response[3] & 0x0F == 3  # NXDOMAIN
    assert struct.unpack(">H", response[6:8]) == (0,)
