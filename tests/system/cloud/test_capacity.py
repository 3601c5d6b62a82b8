"""Two workers of the free plan: groups that keep their container, and workers that change hands."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

import conducto as co
from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

NEW, GLOBAL = co.ContainerReuseContext.NEW, co.ContainerReuseContext.GLOBAL
SMALL = {"image": "busybox:latest", "cpu": 0.25, "mem": 0.5}
_numbers = itertools.count(1)


@pytest.fixture
def free(whole: Any) -> Iterator[Cloud]:
    """A user of an organisation on the free plan."""
    made = Cloud(whole, f"free{next(_numbers)}")
    yield made
    made.close()


def _stopped_as_not_needed(me: Cloud, *pipelines: str) -> set[str]:
    """Return those of the pipelines with a worker that was asked to stop."""
    board = me.emulator.board
    return {
        pipeline
        for pipeline in pipelines
        for stopped in (False, True)
        if any(task.wanted_stop for task in board.list(started_by=pipeline, stopped=stopped))
    }


def _groups() -> Any:
    root = co.Parallel(**SMALL)
    for name in "gh":
        with co.Serial(container_reuse_context=NEW) as root[name]:
            co.Exec("echo 42 > /tmp/state", name="a")
            co.Exec("true", name="free", container_reuse_context=GLOBAL)
            co.Exec("cat /tmp/state", name="c")
    return root


def test_two_new_groups_that_leave_their_container_end_on_two_workers(free: Cloud) -> None:
    run = free.run(_groups())

    assert run.state("/") == "done", run.states()
    assert [run.output(f"/{name}/c") for name in "gh"] == [b"42\n", b"42\n"]


def test_workers_without_a_command_go_to_another_pool_and_to_another_pipeline(
    free: Cloud,
) -> None:
    pools = co.Serial(**SMALL)
    pools["two"] = co.Parallel()
    for name in "ab":
        pools["two"][name] = co.Exec("true")
    pools["larger"] = co.Exec("true", mem=1)
    first = free.run(pools)
    second = free.run(co.Exec("true", **SMALL))

    failed = co.Parallel(**SMALL)
    for name in "gh":
        with co.Serial(container_reuse_context=NEW) as failed[name]:
            co.Exec("exit 3", name="a")
    third = free.run(failed)
    fourth = free.run(co.Exec("true", **SMALL))

    assert [each.state("/") for each in (first, second, fourth)] == ["done", "done", "done"]
    assert third.state("/") == "error"
    gave_up = _stopped_as_not_needed(free, first.id, second.id, third.id)
    assert {first.id, third.id} <= gave_up


def test_two_pipelines_with_a_limit_run_one_after_the_other(me: Cloud) -> None:
    def load(command: str) -> Any:
        root = co.Parallel(limits=co.Limit("database", 1), **SMALL)
        root["load"] = co.Exec(command)
        return root

    first = me.launch(load("until [ -e /conducto/data/user/go ]; do sleep 0.1; done"))
    first.until(lambda: first.state("/load") == "running", "the holder runs")
    second = me.launch(load("touch /conducto/data/user/second"))
    expected = f"waiting for limit database, held by {first.id} /load"
    second.until(lambda: second.node("/load").waits_for == expected, "the limit is shown")
    me.run(co.Exec("ls /conducto/data/user; touch /conducto/data/user/go", **SMALL))

    assert first.settled().state("/load") == "done"
    assert second.settled().state("/load") == "done"
    ((before,), (after,)) = first.attempts("/load"), second.attempts("/load")
    assert before.ended is not None
    assert after.started is not None
    assert before.ended <= after.started
