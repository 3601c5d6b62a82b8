"""Containers that are kept after a failure: when, how many, how large, and until when."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import conducto as co
from conducto_core.run.model.params import ListParams
from conducto_core.run.model.requests import Action
from support.local import Local, Run, local_runner
from support.stand_ins import call, ensure

pytestmark = pytest.mark.docker

BUSYBOX = "conducto-test/busybox:latest"


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    ensure([BUSYBOX])
    async with local_runner(tmp_path, profile="snapshots") as runner:
        yield runner
        for each in (await runner.pipelines.list_pipelines(ListParams())).pipelines:
            await Run(runner, each).control(Action.ARCHIVE)
            assert images(each.pipeline.id) == []


def images(pipeline: str) -> list[str]:
    """Return the names of a pipeline's snapshots, as the engine has them."""
    filters = json.dumps({"label": [f"com.conducto.snapshot={pipeline}"]})
    found = json.loads(call("GET", "/images/json", {"filters": filters})[1])
    # Podman names its default registry.
    return sorted(
        name.removeprefix("docker.io/library/") for each in found for name in each["RepoTags"] or ()
    )


def tree(command: str, **params: Any) -> co.Serial:
    root = co.Serial(image=BUSYBOX, cpu=0.25, mem=0.25)
    root["a"] = co.Exec(command, params={"snapshot_on_error": True, **params})
    return root


async def test_only_a_failure_is_kept(local: Local) -> None:
    root = co.Parallel(image=BUSYBOX, mem=0.25, snapshot_on_error=True)
    root["good"] = co.Exec("true")
    root["bad"] = co.Exec("false")
    root["not asked"] = co.Exec("false", params={"snapshot_on_error": False})

    run = await local.run(root)

    kept = {
        path: (await run.attempts(path))[-1].snapshot for path in await run.nodes() if path != "/"
    }
    assert kept["/good"] is None
    assert kept["/not asked"] is None
    assert images(run.id) == [kept["/bad"]]


async def test_a_retry_keeps_the_newest_five(local: Local) -> None:
    root = tree("echo $CONDUCTO_ATTEMPT >/n; false")
    root["a"].on_error(co.callback.retry(6))

    run = await local.run(root)

    attempts = await run.attempts("/a")
    assert [a.snapshot is not None for a in attempts] == [False] * 2 + [True] * 5
    assert images(run.id) == sorted(str(a.snapshot) for a in attempts[2:])


async def test_oversized_snapshot_is_discarded_and_the_attempt_mentions_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure([BUSYBOX])
    monkeypatch.setenv("CONDUCTO_MAX_SNAPSHOT_GB", "0.001")
    async with local_runner(tmp_path, profile="snapshots") as local:
        run = await local.run(tree("dd if=/dev/zero of=/large bs=1M count=3; false"))

        (attempt,) = await run.attempts("/a")

    assert attempt.snapshot is None
    assert attempt.exit_code == 1
    assert str(attempt.message).startswith("no snapshot: 0.0029 GB were changed")
    assert images(run.id) == []


async def test_killed_attempt_has_no_snapshot(local: Local) -> None:
    run = await local.launch(tree("echo up; sleep 1000"))
    await run.until("/a", "running")

    await run.control(Action.KILL, "/a")
    await run.settled()

    assert (await run.attempts("/a"))[0].snapshot is None
    assert images(run.id) == []


async def test_timed_out_command_is_kept(local: Local) -> None:
    run = await local.run(tree("touch /mine; sleep 1000", max_time="1s"))

    (attempt,) = await run.attempts("/a")

    assert (attempt.cause, attempt.snapshot is not None) == ("timeout", True)


async def test_a_container_of_a_snapshot_is_not_taken_for_the_pipelines(local: Local) -> None:
    run = await local.run(tree("false"))
    (name,) = images(run.id)

    labels = json.loads(call("GET", f"/images/{name}/json")[1])["Config"]["Labels"]

    assert labels["com.conducto.pipeline"] == ""
    assert labels["com.conducto.snapshot.node"] == "/a"


async def test_plain_processes_say_that_they_have_none(tmp_path: Path) -> None:
    root = co.Serial()
    root["a"] = co.Exec("exit 3", params={"snapshot_on_error": True})
    async with local_runner(tmp_path, "process") as local:
        run = await local.run(root)

        (attempt,) = await run.attempts("/a")

    assert (attempt.exit_code, attempt.snapshot) == (3, None)
    assert str(attempt.message).startswith("no snapshot: plain processes")
