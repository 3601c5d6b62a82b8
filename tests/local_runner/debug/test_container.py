from typing import Any

from conducto_core.debug.model import DebugMount
from conducto_local.debug.terminal import container_name, container_spec, debug_body
from conducto_local.engine.docker.container import create_body
from conducto_local.engine.docker.http import Address
from support.debug_plans import SECRET, plan

ENGINE = Address(path="/var/run/docker.sock")


def body(*, stays: bool = False, **changes: Any) -> dict[str, Any]:
    given = plan(**changes)
    created = create_body(container_spec(given, "n", "/host/cmd.sh"), ENGINE)
    return debug_body(given, created, stays=stays)


def test_container_ends_with_its_stdin() -> None:
    made = body()

    assert made["StdinOnce"] is True
    assert made["HostConfig"]["AutoRemove"] is True
    assert made["Entrypoint"][:2] == ["/bin/sh", "-c"]


def test_persistent_container_survives_client_disconnect() -> None:
    assert body(stays=True)["StdinOnce"] is False


def test_only_a_persistent_container_contains_secrets() -> None:
    assert SECRET not in str(body())
    assert f"TOKEN={SECRET}" in body(stays=True)["Env"]


def test_the_nodes_environment_wins_over_that_of_its_arguments() -> None:
    made = body(docker_run_args=("-e", "A=other", "-e", "B=2"))

    assert made["Env"] == ["A=1", "B=2"]


def test_host_code_is_mounted_for_writing() -> None:
    made = body(code=(DebugMount(source="/me/code", target="/mnt/conducto"),))

    mounts = {mount["Target"]: mount for mount in made["HostConfig"]["Mounts"]}
    assert mounts["/mnt/conducto"]["Source"] == "/me/code"
    assert mounts["/mnt/conducto"]["ReadOnly"] is False


def test_two_shells_of_one_node_have_two_names() -> None:
    assert container_name(plan()) != container_name(plan())
