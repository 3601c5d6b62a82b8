"""The search for the engine, and the error where none is found."""

from pathlib import Path

import pytest

from conducto_local.engine.docker.engine import DockerEngine
from conducto_local.engine.docker.http import Address, candidates, unreachable
from conducto_local.engine.port import EngineError

SOCKET = Address(path="/var/run/docker.sock")


def test_the_usual_sockets_are_tried_in_order() -> None:
    found = candidates({"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/user/7"})

    assert [str(address) for address in found] == [
        "unix:///var/run/docker.sock",
        "unix:///home/ada/.docker/run/docker.sock",
        "unix:///run/user/7/docker.sock",
        "unix:///run/user/7/podman/podman.sock",
    ]


@pytest.mark.parametrize("host", ["unix:///tmp/x.sock", "tcp://10.0.0.1:2376"])
def test_docker_host_is_taken_at_its_word(host: str) -> None:
    assert [str(address) for address in candidates({"DOCKER_HOST": host, "HOME": "/"})] == [host]


def test_a_docker_host_without_a_port_has_the_usual_one() -> None:
    assert str(candidates({"DOCKER_HOST": "tcp://box"})[0]) == "tcp://box:2375"


@pytest.mark.parametrize(
    "env",
    [
        {"DOCKER_HOST": "ssh://ada@box"},
        {"DOCKER_HOST": "npipe:////./pipe/x"},
        {"DOCKER_HOST": "tcp://box:2376", "DOCKER_TLS_VERIFY": "1"},
    ],
    ids=["ssh", "npipe", "tls"],
)
def test_a_docker_host_that_is_not_supported_is_named(env: dict[str, str]) -> None:
    with pytest.raises(EngineError, match=env["DOCKER_HOST"]):
        candidates(env)


def test_missing_engine_error_names_the_programs_to_install() -> None:
    error = unreachable({SOCKET: FileNotFoundError(2, "No such file")}, "/nonexistent")

    assert "no container engine is installed" in str(error)
    assert "apt install docker.io" in str(error)
    assert "--engine process" in str(error)


def test_an_installed_engine_that_is_not_running_says_how_to_start_it(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    error = unreachable({SOCKET: FileNotFoundError(2, "No such file")}, str(tmp_path))

    assert "is not running: no response at unix:///var/run/docker.sock" in str(error)
    assert "systemctl start docker" in str(error)
    assert "--engine process" in str(error)


def test_a_socket_that_refuses_is_an_engine_that_is_not_running() -> None:
    error = unreachable({SOCKET: ConnectionRefusedError(111, "Connection refused")}, "")

    assert "is not running" in str(error)


def test_a_socket_that_may_not_be_used_says_which_group_may() -> None:
    other = Address(path="/run/user/1/docker.sock")
    tried = {SOCKET: PermissionError(13, "no"), other: FileNotFoundError(2, "No such file")}

    error = unreachable(tried, "")

    assert "no permission to use the container engine at unix:///var/run/docker.sock" in str(error)
    assert "usermod -aG" in str(error)
    assert "--engine process" in str(error)


async def test_open_reports_that_nothing_listens(tmp_path: Path) -> None:
    engine = DockerEngine({"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "PATH": ""})

    with pytest.raises(EngineError, match="no container engine is installed"):
        await engine.open()
