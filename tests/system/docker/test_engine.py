"""Guarantees of containers: isolation, limits, images, and an engine that can stop."""

import asyncio
import io
import tarfile
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conducto_core.run.model.states import Cause
from conducto_local.engine.docker.container import MAX_PIDS
from conducto_local.engine.docker.engine import DockerEngine
from conducto_local.engine.docker.http import HttpClient
from conducto_local.engine.docker.worker import DockerWorker
from conducto_local.engine.port import (
    Exit,
    Job,
    Mount,
    Stream,
    WorkerLostError,
    WorkerSpec,
    WorkerStartError,
)
from support.engine_proxy import engine_proxy
from support.stand_ins import ensure, is_podman

pytestmark = pytest.mark.docker

LABEL = "com.conducto.test"
DEBIAN = "conducto-test/debian:latest"
BUSYBOX = "conducto-test/busybox:latest"
SHELLS = {
    "dash": (DEBIAN, "/bin/bash"),
    "ash": (BUSYBOX, "/bin/sh"),
}


class Lab:
    """An engine whose containers all have one label."""

    def __init__(self, engine: DockerEngine) -> None:
        self.engine = engine
        self.id = f"engine-{uuid.uuid4().hex[:8]}"
        self._count = 0

    def spec(self, image: str = DEBIAN, shell: str = "/bin/bash", **changes: Any) -> WorkerSpec:
        self._count += 1
        name = f"conducto-test-{self.id}-{self._count}"
        spec = WorkerSpec(
            name, image, shell, cpu=1, mem=0.0625, network="none", labels={LABEL: self.id}
        )
        return replace(spec, **changes)

    async def worker(self, *args: Any, **changes: Any) -> DockerWorker:
        return await self.engine.start_worker(self.spec(*args, **changes))

    @property
    def http(self) -> HttpClient:
        return self.engine.http


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    ensure([DEBIAN, BUSYBOX])
    engine = DockerEngine(grace=0.3, pipes=tmp_path / "pipes")
    await engine.open()
    lab = Lab(engine)
    try:
        yield lab
    finally:
        await engine.remove_labelled({LABEL: lab.id})
        await engine.close()


class Seen:
    def __init__(self) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.writing = asyncio.Event()

    def write(self, stream: Stream, data: bytes) -> None:
        (self.stdout if stream == "stdout" else self.stderr).extend(data)
        self.writing.set()


async def _run(worker: DockerWorker, script: str) -> tuple[Exit, bytes, bytes]:
    seen = Seen()
    end = await worker.run(Job(script), seen.write)
    return end, bytes(seen.stdout), bytes(seen.stderr)


async def _running(worker: DockerWorker, script: str) -> "asyncio.Task[Exit]":
    """Start a command and wait for its first output."""
    seen = Seen()
    run = asyncio.create_task(worker.run(Job(script), seen.write))
    await seen.writing.wait()
    return run


@pytest.fixture(params=SHELLS.values(), ids=SHELLS.keys())
async def worker(request: pytest.FixtureRequest, lab: Lab) -> DockerWorker:
    return await lab.worker(*request.param)


# A command cannot hurt the server.


@pytest.mark.parametrize("signal", ["9", "TERM", "HUP", "INT", "QUIT", "SEGV", "USR1", "PIPE"])
async def test_command_that_kills_its_parent_continues(worker: DockerWorker, signal: str) -> None:
    end, stdout, _ = await _run(worker, f"kill -{signal} $PPID; echo on; exit 4")

    after, *_ = await _run(worker, "exit 5")
    assert (end.code, stdout, after.code) == (4, b"on\n", 5)


@pytest.mark.parametrize("target", ["-1", "0"])
async def test_a_command_that_kills_everything_ends_and_the_next_runs(
    worker: DockerWorker, target: str
) -> None:
    end, *_ = await _run(worker, f"kill -9 {target}; exit 137")

    after, *_ = await _run(worker, "exit 5")
    assert (end.code, after.code) == (137, 5)


async def test_a_command_that_makes_its_stdout_nonblocking_loses_nothing(lab: Lab) -> None:
    worker = await lab.worker()
    script = "python3 -c 'import os; os.set_blocking(1, False); os.set_blocking(2, False)'; echo a"

    end, stdout, _ = await _run(worker, script)
    again, more, _ = await _run(worker, "head -c 3000000 /dev/zero")

    assert (end.code, stdout) == (0, b"a\n")
    assert (again.code, len(more)) == (0, 3_000_000)


async def test_a_command_that_takes_its_own_files_place_is_run(worker: DockerWorker) -> None:
    await _run(worker, 'rm -f "$0"; mkdir -p "$0/x"')

    end, stdout, _ = await _run(worker, "echo on; exit 3")

    assert (end.code, stdout) == (3, b"on\n")


async def test_a_working_directory_that_was_removed_is_named(lab: Lab) -> None:
    worker = await lab.worker(workdir="/work/here")
    await _run(worker, "rm -rf /work/here")

    end, _, stderr = await _run(worker, "true")

    assert end.code == 126
    assert stderr == b"cannot enter the working directory /work/here\n"


# A command leaves nothing behind.


async def test_no_process_of_a_command_outlives_it(worker: DockerWorker) -> None:
    await _run(
        worker,
        "sleep 300 & (setsid sleep 301 >/dev/null 2>&1 &); (trap '' TERM HUP; sleep 302) & echo x",
    )

    for _ in range(40):  # all are killed; on a busy machine the kernel buries them a bit later
        _, stdout, _ = await _run(worker, "for p in /proc/[0-9]*; do echo ${p#/proc/}; done")
        pids = stdout.decode().split()
        if len(pids) == 2:
            break
        await asyncio.sleep(0.05)

    assert len(pids) == 2, pids  # the server and this shell


async def test_a_daemon_cannot_hold_a_command_open(worker: DockerWorker) -> None:
    end, stdout, _ = await asyncio.wait_for(
        _run(worker, "(setsid sh -c 'while :; do sleep 1; done' &); echo started"), 10
    )

    assert (end.code, stdout) == (0, b"started\n")


async def test_a_hundred_megabytes_come_whole(worker: DockerWorker) -> None:
    count = 0

    def add(stream: Stream, data: bytes) -> None:
        nonlocal count
        count += len(data)

    end = await worker.run(Job("head -c 100000000 /dev/zero"), add)

    assert (end.code, count) == (0, 100_000_000)


# Limits.


@pytest.mark.parametrize("rest", ["", " || exit 1"], ids=["killed", "notices"])
async def test_command_out_of_memory_error_names_its_limit(lab: Lab, rest: str) -> None:
    worker = await lab.worker()

    end, *_ = await _run(worker, "python3 -c 'x = b\"a\" * 300_000_000'" + rest)

    assert end.cause is Cause.OUT_OF_MEMORY
    assert "limit of 0.0625 GB" in (end.message or "")
    assert (end.peak_memory or 0) > 60_000_000


async def test_a_command_that_survives_a_lack_of_memory_is_done(lab: Lab) -> None:
    worker = await lab.worker()

    end, *_ = await _run(worker, "python3 -c 'x = b\"a\" * 300_000_000' || true")
    after, *_ = await _run(worker, "exit 1")

    assert (end.code, end.cause) == (0, None)
    assert (after.code, after.cause) == (1, None)


async def test_container_out_of_memory_error_names_its_limit(lab: Lab) -> None:
    worker = await lab.worker()
    # The kernel spares the first process of a namespace unless that process itself grows.
    run = await _running(worker, "echo up; sleep 60")
    fill = 'x=$(head -c 300000000 /dev/zero | tr "\\0" a)'

    await _exec(lab, worker, ["/bin/bash", "-c", fill])
    await lab.http.call("POST", f"/containers/{worker.id}/kill")

    assert (await run).cause is Cause.OUT_OF_MEMORY


async def _exec(lab: Lab, worker: DockerWorker, command: list[str]) -> None:
    body = {"Cmd": command, "AttachStdout": True}
    made = await lab.http.call("POST", f"/containers/{worker.id}/exec", json_body=body)
    response = await lab.http.request(
        "POST",
        f"/exec/{made['Id']}/start",
        headers={"Content-Type": "application/json"},
        body=b'{"Detach": false}',
    )
    await response.read()


# Losses.


async def test_a_container_that_is_killed_is_a_lost_worker(lab: Lab) -> None:
    worker = await lab.worker()
    run = await _running(worker, "echo up; sleep 60")

    await lab.http.call("POST", f"/containers/{worker.id}/kill")

    end = await asyncio.wait_for(run, 5)
    assert (end.code, end.cause) == (None, Cause.WORKER_LOST)
    assert "died with exit code 137" in (end.message or "")


async def test_removed_container_is_a_lost_worker(lab: Lab) -> None:
    worker = await lab.worker()
    run = await _running(worker, "echo up; sleep 60")

    await lab.http.call("DELETE", f"/containers/{worker.id}", params={"force": True})

    assert (await asyncio.wait_for(run, 5)).cause is Cause.WORKER_LOST
    await worker.close()


class RemovingEngine(DockerEngine):
    """An engine on which another program removes each new container at once."""

    async def _create(self, spec: WorkerSpec, body: dict[str, Any]) -> str:
        identity = await super()._create(spec, body)
        await self.http.call("DELETE", f"/containers/{identity}", params={"force": True})
        return identity


async def test_container_removed_while_it_starts_is_lost_and_its_image_not_blamed(
    lab: Lab,
) -> None:
    engine = RemovingEngine()
    await engine.open()

    with pytest.raises(WorkerLostError, match="was removed or killed during its start"):
        await engine.start_worker(lab.spec())

    await engine.close()


async def test_container_that_cannot_start_is_not_lost(lab: Lab) -> None:
    with pytest.raises(WorkerStartError, match="nobody-here") as caught:
        await lab.engine.start_worker(lab.spec(docker_run_args=("--user=nobody-here",)))

    assert not isinstance(caught.value, WorkerLostError)


async def test_an_engine_that_stops_in_the_middle_loses_the_worker_at_once(lab: Lab) -> None:
    async with engine_proxy() as proxy:
        engine = DockerEngine({"DOCKER_HOST": proxy.url})
        await engine.open()
        worker = await engine.start_worker(lab.spec())
        run = await _running(worker, "echo up; sleep 60")

        await proxy.stop()

        end = await asyncio.wait_for(run, 5)
        assert (end.code, end.cause) == (None, Cause.WORKER_LOST)
        assert "engine" in (end.message or "")
        await engine.close()


async def test_a_container_ends_by_itself_when_we_vanish(lab: Lab) -> None:
    async with engine_proxy() as proxy:
        engine = DockerEngine({"DOCKER_HOST": proxy.url})
        await engine.open()
        worker = await engine.start_worker(lab.spec())
        await proxy.stop()
        await engine.close()

    response = await asyncio.wait_for(lab.http.call("POST", f"/containers/{worker.id}/wait"), 10)

    assert response["StatusCode"] is not None


@pytest.mark.parametrize(("image", "shell"), SHELLS.values(), ids=SHELLS.keys())
async def test_a_command_finds_its_shell_by_name(lab: Lab, image: str, shell: str) -> None:
    worker = await lab.worker(image, shell)
    seen = Seen()

    await worker.run(Job("env | grep ^SHELL="), seen.write)
    await worker.run(Job("env | grep ^SHELL=", {"SHELL": "/bin/own"}), seen.write)

    assert bytes(seen.stdout) == f"SHELL={shell}\nSHELL=/bin/own\n".encode()


# Starts that fail.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": "conducto-test/none:0"}, "'conducto-test/none:0' is not on this machine"),
        ({"mounts": (Mount("/no/such/dir", "/x"),)}, "/no/such/dir"),
        ({"network": "conducto-test-none"}, "conducto-test-none"),
        ({"cpu": 4096}, "CPUs"),
        ({"mem": 0.0001}, "memory"),
        ({"docker_run_args": ("--frobnicate",)}, "--frobnicate"),
        ({"docker_run_args": ("--cap-add=NONE_SUCH",)}, "NONE_SUCH"),
        ({"docker_run_args": ("--user=nobody-here",)}, "nobody-here"),
    ],
    ids=["image", "mount", "network", "cpu", "memory", "flag", "capability", "user"],
)
async def test_a_container_that_cannot_start_says_why(
    lab: Lab, changes: dict[str, Any], message: str
) -> None:
    spec = lab.spec(**changes)
    if is_podman() and changes.keys() & {"cpu", "mounts"}:
        pytest.skip("Podman starts it: it grants what there is, and creates directories")

    with pytest.raises(WorkerStartError, match=message):
        await lab.engine.start_worker(spec)
    assert await lab.engine.remove_labelled({LABEL: lab.id}) == 0


async def test_image_without_a_shell_is_reported(lab: Lab) -> None:
    image = await _import(lab, "noshell")
    try:
        with pytest.raises(WorkerStartError, match="has no /bin/sh"):
            await lab.worker(image, "/bin/bash")
    finally:
        await lab.http.call("DELETE", f"/images/{image}")


async def _import(lab: Lab, name: str) -> str:
    """Make an image that holds one text file."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("hello"))
    params = {"fromSrc": "-", "repo": f"conducto-test/{name}-{lab.id}"}
    response = await lab.http.request("POST", "/images/create", params=params, body=tar.getvalue())
    await response.read()
    return f"conducto-test/{name}-{lab.id}"


async def test_a_shell_that_the_image_lacks_has_code_127(lab: Lab) -> None:
    worker = await lab.worker(BUSYBOX, "/bin/zsh")

    end, _, stderr = await _run(worker, "true")

    assert end.code == 127
    assert b"/bin/zsh" in stderr


async def test_leftover_container_is_replaced(lab: Lab) -> None:
    spec = lab.spec()
    old = await lab.engine.start_worker(spec)

    new = await lab.engine.start_worker(spec)

    assert old.id != new.id
    assert (await _run(new, "exit 3"))[0].code == 3


@pytest.mark.parametrize("label", ["com.conducto.test.other", LABEL])
async def test_foreign_container_is_not_removed(lab: Lab, label: str) -> None:
    theirs = await lab.worker()
    spec = replace(lab.spec(), name=theirs.name, labels={label: "another home"})

    with pytest.raises(WorkerStartError, match=f"docker rm -f {theirs.name}"):
        await lab.engine.start_worker(spec)
    assert (await _run(theirs, "exit 3"))[0].code == 3


async def test_a_closed_worker_leaves_no_container(lab: Lab) -> None:
    worker = await lab.worker()

    await asyncio.gather(worker.close(), worker.close())

    assert await lab.engine.remove_labelled({LABEL: lab.id}) == 0


# What a command sees.


async def test_the_images_entrypoint_and_command_are_cleared_and_its_user_stays(lab: Lab) -> None:
    base = await lab.http.call(
        "POST", "/containers/create", json_body={"Image": DEBIAN, "Labels": {LABEL: lab.id}}
    )
    image = f"conducto-test/user-{lab.id}"
    config = {"User": "1234:1234", "WorkingDir": "/opt", "Entrypoint": ["/no"], "Cmd": ["no"]}
    await lab.http.call(
        "POST", "/commit", params={"container": base["Id"], "repo": image}, json_body=config
    )
    try:
        worker = await lab.worker(image)
        _, stdout, _ = await _run(worker, "id -u >/dev/fd/1; pwd | tee /dev/fd/2")
        await worker.close()
    finally:
        await lab.http.call("DELETE", f"/images/{image}", params={"force": True})

    assert stdout == b"1234\n/opt\n"


async def test_a_command_has_its_working_directory_and_mounts(lab: Lab, tmp_path: Path) -> None:
    tmp_path.joinpath("given").write_text("from outside")
    mounts = (Mount(str(tmp_path), "/rw"), Mount(str(tmp_path), "/ro", read_only=True))
    worker = await lab.worker(mounts=mounts, workdir="/rw")

    _, stdout, _ = await _run(worker, "cat given; echo in >made; touch /ro/x || echo read-only")

    assert stdout == b"from outsideread-only\n"
    assert tmp_path.joinpath("made").read_text() == "in\n"


# Pipes in place of the engine's streams; the suite of the port uses the streams.


def _names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


@pytest.mark.parametrize("user", ["0", "1234"])
async def test_commands_go_through_pipes(lab: Lab, tmp_path: Path, user: str) -> None:
    worker = await lab.worker(docker_run_args=(f"--user={user}",))
    text = "x" * 1_000_000  # more than a pipe holds

    seen = Seen()
    script = f"echo {text} >&2; echo {text}; readlink /proc/self/fd/1"
    end = await worker.run(Job(script), seen.write)

    assert end.code == 0
    assert seen.stdout.decode() == f"{text}\n/conducto/pipes/out\n"
    assert seen.stderr.decode() == f"{text}\n"
    await worker.close()
    assert _names_in(tmp_path / "pipes") == []


async def test_other_users_cannot_open_the_pipes_by_name(lab: Lab) -> None:
    worker = await lab.worker(docker_run_args=("--user=1234",))

    end, _, stderr = await _run(worker, "echo x >/conducto/pipes/out")

    assert end.code == 1
    assert b"Permission denied" in stderr


async def test_files_are_copied_from_a_running_container(lab: Lab) -> None:
    worker = await lab.worker()
    await _run(worker, "echo kept >/made")

    path = f"/containers/{worker.id}/archive"
    async with await lab.http.request("GET", path, params={"path": "/made"}) as response:
        await response.raise_for_status()
        copied = await response.read()

    assert b"kept\n" in copied


async def test_the_output_of_a_killed_container_is_kept(lab: Lab) -> None:
    worker, seen = await lab.worker(), Seen()
    run = asyncio.create_task(worker.run(Job("echo last >&2; echo on; sleep 300"), seen.write))
    while not (seen.stdout and seen.stderr):
        seen.writing.clear()
        await seen.writing.wait()

    await lab.http.call("POST", f"/containers/{worker.id}/kill")

    assert ((await run).cause, worker.lost) == (Cause.WORKER_LOST, True)
    assert (seen.stdout, seen.stderr) == (b"on\n", b"last\n")


async def test_run_args_reach_the_container(lab: Lab) -> None:
    args = ("--hostname=box", "-e", "GIVEN=a b", "--ulimit", "nofile=99", "--tmpfs", "/scratch")
    worker = await lab.worker(docker_run_args=args)

    _, stdout, _ = await _run(worker, "cat /etc/hostname; echo $GIVEN; ulimit -n; ls -d /scratch")

    assert stdout == b"box\na b\n99\n/scratch\n"


async def test_a_command_that_needs_docker_reaches_the_engine(lab: Lab) -> None:
    worker = await lab.worker(requires_docker=True)
    ask = (
        "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); "
        's.connect("/var/run/docker.sock"); s.sendall(b"GET /_ping HTTP/1.0\\r\\n\\r\\n"); '
        "print(s.recv(99).splitlines()[0])'"
    )

    _, stdout, _ = await _run(worker, ask)

    assert b"200 OK" in stdout


async def test_workers_of_one_network_find_each_other(lab: Lab) -> None:
    network = f"conducto-test-{lab.id}"
    await lab.engine.ensure_network(network, {LABEL: lab.id})
    first = await lab.worker(BUSYBOX, "/bin/sh", network=network)
    second = await lab.worker(BUSYBOX, "/bin/sh", network=network)

    end, *_ = await _run(second, f"nslookup {first.name} || ping -c 1 {first.name}")

    assert end.code == 0


# Stops.


async def test_a_stop_reaches_processes_that_left_the_commands_session(lab: Lab) -> None:
    worker = await lab.worker()
    run = await _running(worker, "trap 'wait; exit 9' TERM; setsid sleep 60 & echo up; wait")

    await worker.stop()

    assert (await run).code == 9


async def test_a_container_whose_processes_cannot_be_killed_is(lab: Lab) -> None:
    worker = await lab.worker()
    run = await _running(worker, "echo up; sleep 60")
    await lab.http.call("POST", f"/containers/{worker.id}/pause")

    await asyncio.wait_for(worker.stop(), 30)

    assert (await run).code == 137


async def test_a_long_command_runs_in_an_image_without_head(
    worker_without_path: DockerWorker,
) -> None:
    end, stdout, _ = await _run(worker_without_path, f"x='{'y' * 5000}'\necho ${{#x}}; exit 3")

    assert (end.code, stdout) == (3, b"5000\n")


@pytest.fixture(params=SHELLS.values(), ids=SHELLS.keys())
async def worker_without_path(request: pytest.FixtureRequest, lab: Lab) -> DockerWorker:
    return await lab.worker(*request.param, docker_run_args=("--env", "PATH=/nowhere"))


# What a container may not do.

_CONNECT = """\
timeout 20 bash -c '</dev/tcp/169.254.169.254/80' || true
timeout 20 bash -c '</dev/tcp/fd00:ec2::254/80' || true
grep -c 169.254.169.254 /proc/net/fib_trie
grep NoNewPrivs: /proc/self/status | tr -d '\\t'
"""
_UNREACHABLE = ("Connection refused", "No route to host", "Network is unreachable")


async def test_containers_are_confined(lab: Lab) -> None:
    await lab.engine.ensure_network(lab.id, {LABEL: lab.id})
    await lab.engine.ensure_network(lab.id, {LABEL: lab.id})  # it exists
    worker = await lab.worker(network=lab.id)

    _, stdout, stderr = await _run(worker, _CONNECT)

    found = await lab.http.call("GET", f"/containers/{worker.id}/json")
    refusals = [each for each in stderr.decode().splitlines() if each.endswith(_UNREACHABLE)]
    routes, privileges = stdout.decode().splitlines()
    assert len(refusals) == 4, stderr.decode()  # bash reports each connection twice
    assert int(routes) > 0  # it is known here, and leads nowhere
    assert privileges == "NoNewPrivs:1"
    assert found["HostConfig"]["PidsLimit"] == MAX_PIDS
