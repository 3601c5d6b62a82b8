"""Commands in containers like those of failures, with real containers."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import conducto as co
from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.secrets.port import SecretName, StoredSecret
from conducto_local.assistants.containers import MAX_CONTAINERS, FailureContainers
from conducto_local.secrets.store import LocalSecrets
from support.local import Local, Run, local_runner
from support.stand_ins import ensure

pytestmark = pytest.mark.docker

BUSYBOX = "conducto-test/busybox:latest"
SECRET = "a-secret-of-the-tests"


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    ensure([BUSYBOX])
    async with local_runner(tmp_path, profile="plans") as runner:
        yield runner


@pytest.fixture
async def containers(local: Local) -> AsyncIterator[FailureContainers]:
    made = FailureContainers(local.pipelines)
    yield made
    await made.close()


def running(pipeline: str) -> list[str]:
    words = ["docker", "ps", "-q", "--filter", f"label=com.conducto.debug={pipeline}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def leaf(command: str, **params: object) -> co.Serial:
    root = co.Serial(image=co.Image(image=BUSYBOX, name="box"), mem=0.25)
    root["a"] = co.Exec(command, **params)
    return root


async def execute(
    containers: FailureContainers, run: Run, command: str, **more: object
) -> ExecResult:
    request = ExecRequest.model_validate({"path": "/a", "command": command, **more})
    return await containers.exec_in_failure(PipelineParams(id=run.id), request)


async def test_command_runs_as_the_failed_one_did_without_secrets(
    local: Local, containers: FailureContainers
) -> None:
    LocalSecrets(local.home).put([StoredSecret(SecretName("user", "TOKEN"), SECRET, True, 0.0)])
    run = await local.run(leaf("exit 3", env={"COLOUR": "red"}))

    without = await execute(containers, run, "echo $COLOUR $TOKEN; cat /conducto/cmd.sh; exit 7")
    granted = await execute(containers, run, "echo $TOKEN", secrets=True)
    found = "for f in /proc/[0-9]*/environ; do grep -a -l a-sec $f; done; env | grep -a a-sec"
    after = await execute(containers, run, found)

    assert (without.code, without.kept, without.files) == (7, False, "image")
    assert without.stdout.splitlines()[0] == "red"
    assert "exit 3" in without.stdout
    assert without.withheld == ("TOKEN",)
    assert granted.stdout == f"{SECRET}\n"
    assert granted.withheld == ()
    assert after.stdout == "", after.stdout


async def test_container_is_kept_and_ends_with_its_holder(
    local: Local, containers: FailureContainers
) -> None:
    run = await local.run(leaf("exit 3"))

    await execute(containers, run, "echo kept >/tmp/x")
    second = await execute(containers, run, "cat /tmp/x")

    assert (second.stdout, second.kept) == ("kept\n", True)
    assert len(running(run.id)) == 1
    await containers.close()
    assert running(run.id) == []


async def test_output_and_time_are_limited(local: Local, containers: FailureContainers) -> None:
    run = await local.run(leaf("exit 3"))

    much = await execute(containers, run, "seq 100000; echo bad >&2", max_bytes=500)
    slow = await execute(containers, run, "echo begun; sleep 100", timeout=1)

    assert (len(much.stdout), much.stdout_size, much.stderr) == (500, 588895, "bad\n")
    assert much.stdout.endswith("100000\n")
    assert slow.timed_out
    assert slow.stdout == "begun\n"
    assert slow.seconds < 10


async def test_files_are_those_of_the_failure_with_a_snapshot(
    local: Local, containers: FailureContainers
) -> None:
    run = await local.run(leaf("echo left >/tmp/rest; exit 3", snapshot_on_error=True))

    found = await execute(containers, run, "cat /tmp/rest")

    assert (found.stdout, found.files, found.attempt) == ("left\n", "snapshot", 1)


async def test_idle_container_is_removed(local: Local) -> None:
    containers = FailureContainers(local.pipelines, idle=0.0)
    run = await local.run(leaf("exit 3"))

    await execute(containers, run, "true")

    for container in running(run.id):
        words = ["docker", "wait", container]
        await asyncio.to_thread(subprocess.run, words, check=False, timeout=30)
    await containers.close()


async def test_number_of_containers_is_limited(local: Local, containers: FailureContainers) -> None:
    root = co.Parallel(image=co.Image(image=BUSYBOX, name="box"), mem=0.1, cpu=0.1)
    for name in "abcd":
        root[name] = co.Exec("exit 1")
    run = await local.run(root)

    for name in "abcd":
        request = ExecRequest(path=f"/{name}", command="true")
        await containers.exec_in_failure(PipelineParams(id=run.id), request)

    assert len(running(run.id)) == MAX_CONTAINERS
    with pytest.raises(RefusedError, match="another command runs in its container"):
        await asyncio.gather(
            *(execute_path(containers, run, "/d", "sleep 2; echo end") for _ in range(2))
        )


async def execute_path(
    containers: FailureContainers, run: Run, path: str, command: str
) -> ExecResult:
    request = ExecRequest(path=path, command=command)
    return await containers.exec_in_failure(PipelineParams(id=run.id), request)
