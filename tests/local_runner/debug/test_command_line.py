import shlex
from itertools import pairwise
from typing import Any

import pytest

from conducto_core.debug.model import DebugMount
from conducto_local.debug.command import docker_run_line
from conducto_local.debug.terminal import container_spec
from conducto_local.engine.docker.http import Address
from support.debug_plans import SECRET, plan

ENGINE = Address(path="/var/run/docker.sock")


def line(**changes: Any) -> str:
    given = plan(**changes)
    return docker_run_line(given, container_spec(given, "", "/host/cmd.sh"), ENGINE)


def words(**changes: Any) -> list[str]:
    return shlex.split(line(**changes))


def after(flag: str, found: list[str]) -> list[str]:
    return [value for name, value in pairwise(found) if name == flag]


def test_the_line_begins_a_terminal_in_the_image_with_its_shell() -> None:
    found = words()

    assert found[:4] == ["docker", "run", "--rm", "-it"]
    assert found[-4:] == ["--entrypoint", "/bin/bash", "conducto_extended:12", "--norc"]


def test_the_limits_are_the_nodes() -> None:
    found = words(gpu=2, workdir="/mnt/conducto")

    assert {"--cpus=0.5", "--memory=256m", "--memory-swap=256m", "--gpus=2"} <= set(found)
    assert {"--network=conducto_network_abc-def", "--workdir=/mnt/conducto"} <= set(found)


def test_an_odd_size_is_given_in_bytes() -> None:
    assert "--memory=107374182b" in words(mem=0.1)


@pytest.mark.parametrize("value", ["it's $HOME", "two\nlines", "", "a  b", '"', "\\", "ü"])
def test_a_value_survives_the_shell(value: str) -> None:
    assert f"A={value}" in after("-e", words(env={"A": value}))


def test_a_secret_is_passed_on_and_not_written_out() -> None:
    assert "TOKEN" in after("-e", words())
    assert SECRET not in line()
    assert SECRET not in repr(plan())


def test_the_script_is_seen_in_both_places() -> None:
    mounts = after("--mount", words())

    assert "type=bind,source=/host/cmd.sh,target=/conducto/cmd.sh" in mounts
    assert "type=bind,source=/host/cmd.sh,target=/cmd.conducto" in mounts


def test_a_comma_in_a_path_does_not_end_it() -> None:
    code = (DebugMount(source='/a,b "c"', target="/mnt/conducto"),)

    mounts = after("--mount", words(code=code))

    assert 'type=bind,"source=/a,b ""c""",target=/mnt/conducto' in mounts


def test_the_engines_socket_and_further_arguments_come_along() -> None:
    found = words(requires_docker=True, docker_run_args=("--shm-size", "1g"))

    socket = "type=bind,source=/var/run/docker.sock,target=/var/run/docker.sock"
    assert socket in after("--mount", found)
    assert after("--shm-size", found) == ["1g"]


def test_a_shell_without_files_of_its_own_gets_no_flag() -> None:
    assert words(shell="/bin/ash")[-1] == "conducto_extended:12"
