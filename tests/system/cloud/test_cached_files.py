"""Files of cached commands in emulated workers: views, hits without a worker, and lost workers."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.errors import APIError

import conducto as co
from conducto_emulator.tasks.containers import TASK_LABEL

if TYPE_CHECKING:
    from conducto_emulator.tasks.tasks import Task
    from support.cloud.emulated import Cloud, Run

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

DATA = "/conducto/data/pipeline"
SUM = f"cd {DATA}; ls -A . raw; cat raw/* > out/sum; cat out/sum"


def tree(content: str, command: str = SUM) -> co.Serial:
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.25, title="cached")
    root["fetch"] = co.Exec(
        f"cd {DATA}; mkdir raw; echo {content} > raw/b; echo 1 > raw/a; echo secret > hidden"
    )
    cache = co.Cache(reads=["raw/"], writes=["out/"])
    root["sum"] = co.Exec(f"mkdir {DATA}/out; {command}", cache=cache, retry_lost=1)
    root["show"] = co.Exec(f"cat {DATA}/out/sum; stat -c %i {DATA}/out/sum")
    return root


def tasks_of(me: Cloud, run: Run) -> list[Task]:
    lists = (me.emulator.board.list(started_by=run.id, stopped=each) for each in (True, False))
    return [task for tasks in lists for task in tasks]


def source_of(run: Run) -> str | None:
    found = run.attempts("/sum")[-1].from_cache
    return None if found is None else found.pipeline


def test_files_of_cached_commands(me: Cloud) -> None:
    first = me.run(tree("2"))
    assert set(first.states().values()) == {"done"}
    # It sees only what it named, and a link leads to it.
    assert first.output("/sum").split() == b".: out raw raw: a b 1 2".split()
    assert first.output("/show").split()[:2] == [b"1", b"2"]
    assert first.attempts("/sum")[-1].not_stored is None

    second = me.run(tree("2"))
    assert source_of(second) == first.id
    assert second.output("/sum") == first.output("/sum")
    assert second.output("/show").split()[:2] == [b"1", b"2"]
    assert second.output("/show").split()[2] != first.output("/show").split()[2]  # a copy
    assert len(tasks_of(me, second)) < len(tasks_of(me, first))

    third = me.run(tree("3"))
    assert source_of(third) is None
    assert str(third.attempts("/sum")[-1].cache).endswith("attempt 1: files (raw/b)")
    assert third.output("/show").split()[:2] == [b"1", b"3"]


def test_a_worker_that_is_killed_publishes_and_stores_nothing(me: Cloud) -> None:
    slow = f"cd {DATA}; echo half > out/sum; echo begun; sleep 8; cat raw/* > out/sum"
    run = me.launch(tree("2", slow))
    run.until(lambda: run.state("/sum") == "running", "/sum runs")
    run.until(lambda: run.output("/sum") == b"begun\n", "it writes")
    engine: Any = docker.from_env()
    for task in tasks_of(me, run):
        for each in engine.containers.list(filters={"label": f"{TASK_LABEL}={task.id}"}):
            with suppress(APIError):  # it ends with another container of the task
                each.kill("KILL")
    run.until(lambda: len(run.attempts("/sum")) > 1, "another attempt")
    (data,) = me.emulator.containers.folder.glob(f"efs/*/pipelines/{run.id}")
    assert not (data / "out").exists()
    run.settled()
    assert [str(each.cause) for each in run.attempts("/sum")[:-1]] == ["worker_lost"]
    assert (data / "out/sum").read_text() == "1\n2\n"

    again = me.run(tree("2", slow))
    assert source_of(again) == run.id
    assert again.output("/show").split()[:2] == [b"1", b"2"]
