"""Flags of ``docker run`` as fields of the Engine API."""

import shlex
from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.tree.rules.checks import Limits
from conducto_core.tree.rules.resolve import resolve
from conducto_local.engine.docker.container import create_body
from conducto_local.engine.docker.http import Address
from conducto_local.engine.docker.run_args import RunArgsError, apply_run_args
from conducto_local.engine.port import Mount, WorkerSpec
from conducto_local.run.admission import check_nodes

HOST_FIELDS = {
    "--privileged": {"Privileged": True},
    "--privileged=false": {"Privileged": False},
    "--cap-add SYS_PTRACE --cap-add=NET_ADMIN": {"CapAdd": ["SYS_PTRACE", "NET_ADMIN"]},
    "--shm-size=1.5g": {"ShmSize": 3 * 2**29},
    "--shm-size 64mb": {"ShmSize": 2**26},
    "-v /a:/b:ro": {"Binds": ["/a:/b:ro"]},
    "-v/a:/b": {"Binds": ["/a:/b"]},
    "--add-host db:10.0.0.1": {"ExtraHosts": ["db:10.0.0.1"]},
    "--device /dev/fuse": {
        "Devices": [
            {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}
        ]
    },
    "--ulimit nofile=10:20": {"Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}]},
    "--ulimit core=0": {"Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}]},
    "--tmpfs /t:size=1m": {"Tmpfs": {"/t": "size=1m"}},
    "--sysctl a.b=1": {"Sysctls": {"a.b": "1"}},
    "--gpus all": {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]},
    "--mount type=bind,src=/a,dst=/b,readonly": {
        "Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True}]
    },
    "-p 127.0.0.1:80:8080": {
        "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]}
    },
    "-p 53:53/udp": {"PortBindings": {"53/udp": [{"HostIp": "", "HostPort": "53"}]}},
    "--rm --init -i": {},
    "-iP": {"PublishAllPorts": True},
    "--security-opt seccomp={}": {"SecurityOpt": ["seccomp={}"]},
    "--security-opt=no-new-privileges": {"SecurityOpt": ["no-new-privileges"]},
}


def _apply(text: str) -> dict[str, Any]:
    body: dict[str, Any] = {"Env": [], "HostConfig": {}}
    apply_run_args(body, shlex.split(text))
    return body


@pytest.mark.parametrize(("text", "expected"), HOST_FIELDS.items(), ids=HOST_FIELDS.keys())
def test_a_flag_becomes_a_field_of_the_host_config(text: str, expected: dict[str, Any]) -> None:
    assert _apply(text)["HostConfig"] == expected


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("-u 7:8", "User", "7:8"),
        ("-w /x", "WorkingDir", "/x"),
        ("--hostname=box", "Hostname", "box"),
        ("-e A=1 --env B=x=y", "Env", ["A=1", "B=x=y"]),
        ("-v /data", "Volumes", {"/data": {}}),
        ("--expose 80", "ExposedPorts", {"80/tcp": {}}),
    ],
)
def test_a_flag_becomes_a_field_of_the_container(text: str, field: str, expected: object) -> None:
    assert _apply(text)[field] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--frobnicate", "'--frobnicate' is not supported"),
        ("--cpus 2", "--cpus is not allowed: set cpu= on the node"),
        ("-m 2g", "--memory is not allowed: set mem="),
        ("--network=host", "--network is not allowed"),
        ("--pid=host", "--pid is not allowed"),
        ("--entrypoint x", "--entrypoint is not allowed"),
        ("-t", "--tty is not allowed"),
        ("-it", "--tty is not allowed"),
        ("-di", "--detach is not allowed"),
        ("--rm=false", "--rm cannot be switched off"),
        ("--security-opt seccomp=/a.json", "the file of the profile is read only"),
        ("--cap-add", "--cap-add has no value"),
        ("debian", "'debian' is not a flag"),
        ("-e TOKEN", "--env 'TOKEN': it has no value.*write TOKEN=VALUE"),
        ("-v ./x:/x", "must be absolute"),
        ("-v ~/x:/x", "must be absolute"),
        ("--privileged=maybe", "true or false, not 'maybe'"),
        ("--shm-size lots", "--shm-size 'lots'"),
        ("--ulimit nofile=many", "--ulimit 'nofile=many'"),
        ("-p 80-90:80-90", "ranges are not supported"),
        ("--mount type=bind,src=/a", "no target"),
        ("--mount type=bind,src=/a,dst=/b,bind-propagation=shared", "is not supported"),
    ],
)
def test_a_flag_that_cannot_be_granted_is_named(text: str, message: str) -> None:
    with pytest.raises(RunArgsError, match=message):
        _apply(text)


def _spec(**changes: Any) -> WorkerSpec:
    return WorkerSpec("w", "debian", "/bin/bash", **{"cpu": 0.5, "mem": 0.25, **changes})


def test_a_worker_has_its_limits_and_no_swap() -> None:
    config = create_body(_spec(), Address(path="/s"))["HostConfig"]

    assert (config["NanoCpus"], config["Memory"]) == (500_000_000, 2**28)
    assert config["MemorySwap"] == config["Memory"]


def test_a_workers_own_mounts_stay_beside_those_of_run_args() -> None:
    spec = _spec(
        mounts=(Mount("/a", "/b", read_only=True),),
        docker_run_args=("--mount", "type=bind,src=/c,dst=/d"),
    )

    mounts = create_body(spec, Address(path="/s"))["HostConfig"]["Mounts"]

    assert [(m["Source"], m["Target"], m.get("ReadOnly")) for m in mounts] == [
        ("/a", "/b", True),
        ("/c", "/d", None),
    ]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (Address(path="/run/user/1/docker.sock"), "/run/user/1/docker.sock"),
        (Address(path="/home/ada/.docker/run/docker.sock"), "/var/run/docker.sock"),
        (Address(host="box"), "/var/run/docker.sock"),
    ],
    ids=["own", "desktop", "tcp"],
)
def test_a_command_that_needs_docker_finds_the_engines_socket(
    address: Address, source: str
) -> None:
    mounts = create_body(_spec(requires_docker=True), address)["HostConfig"]["Mounts"]

    assert (mounts[0]["Source"], mounts[0]["Target"]) == (source, "/var/run/docker.sock")


def test_the_images_own_working_directory_is_left_alone() -> None:
    assert "WorkingDir" not in create_body(_spec(), Address(path="/s"))


@pytest.mark.parametrize(
    ("asked", "there", "refused"),
    [("all", 0, True), ("1", 0, True), ("3", 2, True), ("all", 2, False), ("2", 2, False)],
)
def test_gpus_that_the_machine_lacks_are_refused_at_launch(
    asked: str, there: int, refused: bool
) -> None:
    root = co.Serial()
    root["a"] = co.Exec("x", docker_run_args=["--gpus", asked])
    nodes = resolve(to_launch_form(root)).nodes
    limits = Limits(cpu=8, mem=8, gpu=there)

    if not refused:
        check_nodes(nodes, limits)
        return
    with pytest.raises(DefinitionError, match=r"^/a: docker_run_args: --gpus requests"):
        check_nodes(nodes, limits)
