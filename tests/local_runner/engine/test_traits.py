"""Missing features of an engine are detected when it is opened, and reported."""

from pathlib import Path
from typing import Any

import pytest

from conducto_local.engine.docker import container as metadata
from conducto_local.engine.docker.container import MAX_PIDS, Traits, create_body, read_traits
from conducto_local.engine.docker.http import Address, EngineApiError
from conducto_local.engine.port import WorkerSpec

DOCKER = {"Components": [{"Name": "Engine", "Version": "29.1"}]}
PODMAN = {"Components": [{"Name": "Podman Engine", "Version": "5.4.2"}]}
OLD_PODMAN = {"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]}
FULL = {
    "CpuCfsQuota": True,
    "CpuCfsPeriod": True,
    "MemoryLimit": True,
    "PidsLimit": True,
    "CgroupDriver": "systemd",
}
CONTROLLERS = ["cpu", "memory", "pids", "io"]


class Libpod:
    """Answers ``GET /libpod/info``."""

    def __init__(self, host: dict[str, Any] | None = None) -> None:
        self.host = {"cgroupControllers": CONTROLLERS, **(host or {})}

    async def call(self, method: str, path: str) -> dict[str, Any]:
        if (method, path) != ("GET", "/libpod/info"):
            raise EngineApiError(404, path)
        return {"host": self.host}


async def traits_of(
    version: dict[str, Any],
    info: dict[str, Any],
    host: dict[str, Any] | None = None,
    env: dict[str, str] | None = None,
) -> Traits:
    return await read_traits(Libpod(host), version, info, env or {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "changes", "host", "unenforced"),
    [
        (DOCKER, {}, {}, set()),
        (DOCKER, {"MemoryLimit": False}, {}, {"memory"}),
        (DOCKER, {"CgroupDriver": "none"}, {}, {"cpu", "memory", "pids"}),
        (PODMAN, {}, {}, set()),
        (PODMAN, {}, {"cgroupControllers": ["memory", "pids"]}, {"cpu"}),
        (
            PODMAN,
            {},
            {"cgroupVersion": "v1", "security": {"rootless": True}},
            {"cpu", "memory", "pids"},
        ),
    ],
    ids=["docker", "no memory", "no cgroups", "podman", "cpu not delegated", "rootless on v1"],
)
async def test_limits_that_the_engine_ignores_are_detected(
    version: dict[str, Any], changes: dict[str, Any], host: dict[str, Any], unenforced: set[str]
) -> None:
    traits = await traits_of(version, {**FULL, **changes}, host)

    limits = [text for text in traits.warnings if "does not enforce" in text]
    assert traits.unenforced == unenforced
    assert len(limits) == bool(unenforced)


async def test_ignored_limits_are_not_requested() -> None:
    traits = Traits(unenforced=frozenset({"cpu", "memory", "pids"}))

    config = traits.create_body(spec(), Address(path="/s"))["HostConfig"]

    assert config.keys().isdisjoint({"NanoCpus", "Memory", "MemorySwap", "PidsLimit"})


async def test_old_podman_is_named_where_it_cannot_block_the_metadata_address() -> None:
    traits = await traits_of(OLD_PODMAN, FULL)
    allowed = await traits_of(OLD_PODMAN, FULL, env={metadata.VARIABLE: "on"})

    assert any("Podman 4.3.1 may not support" in text for text in traits.warnings)
    assert allowed.warnings == ()
    assert not allowed.block_metadata


def test_name_servers_beside_the_metadata_address_are_found(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("search x\nnameserver 169.254.169.254\nnameserver 1.1.1.1\n")
    (tmp_path / "two").write_text("# nameserver 169.254.1.1\nnameserver ::1\nnameserver\n")
    places = [tmp_path / "one", tmp_path / "two", tmp_path / "none"]

    assert metadata.link_local_servers(places) == ["169.254.169.254"]


def spec(**changes: Any) -> WorkerSpec:
    given = {"cpu": 0.5, "mem": 0.25, "network": "conducto_network_a", **changes}
    return WorkerSpec("w", "debian", "/bin/bash", **given)


def test_a_worker_is_confined() -> None:
    body = create_body(spec(), Address(path="/s"))

    endpoint = body["NetworkingConfig"]["EndpointsConfig"]["conducto_network_a"]
    assert body["HostConfig"]["PidsLimit"] == MAX_PIDS
    assert body["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    assert endpoint == {"IPAMConfig": {"LinkLocalIPs": ["169.254.169.254"]}}
    assert body["StopTimeout"] == 0


def test_run_args_can_lift_the_confinement() -> None:
    args = ("--pids-limit=-1", "--security-opt", "no-new-privileges=false")

    body = create_body(spec(docker_run_args=args), Address(path="/s"), block_metadata=False)

    assert body["HostConfig"]["PidsLimit"] == -1
    assert body["HostConfig"]["SecurityOpt"] == ["no-new-privileges=false"]
    assert "NetworkingConfig" not in body


@pytest.mark.parametrize("network", [None, "none", "host"])
def test_networks_of_others_are_left_alone(network: str | None) -> None:
    assert "NetworkingConfig" not in create_body(spec(network=network), Address(path="/s"))


def test_podman_routes_the_metadata_address_to_an_unused_one() -> None:
    body = metadata.podman_network("n", {"a": "b"}, "10.89.0.0/24")

    assert body["routes"] == [{"destination": "169.254.169.254/32", "gateway": "10.89.0.254"}]
    assert body["labels"] == {"a": "b"}
