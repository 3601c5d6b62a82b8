"""A cached run is a fresh run: random programs with files, on emulated workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.run.model.requests import Action
from support.cached_programs import change_file, files_of, history
from support.cloud.emulated import Cloud
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conducto_emulator.emulator import Emulator
    from support.cloud.emulated import Run

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

#: What a launch leaves: states, output and files.
Seen = list[Any]


@pytest.fixture
def other(whole: Emulator) -> Iterator[Cloud]:
    """A user of another organisation, which has a cache of its own."""
    made = Cloud(whole, "other-cache")
    made.admin(kind="set_plan", max_workers=6, max_pipelines=50)
    yield made
    made.close()


def _data(me: Cloud, run: Run) -> Path:
    (found,) = me.emulator.containers.folder.glob(f"efs/*/pipelines/{run.id}")
    return found


def _seen(me: Cloud, run: Run) -> Seen:
    states = run.states()
    output = {}
    for path in states:
        if run.attempts(path):
            streams = [run.output(path, stream) for stream in ("stdout", "stderr")]
            output[path] = [each.decode() for each in streams]
    return [states, output, files_of(_data(me, run))]


def _hits(run: Run) -> int:
    last = [run.attempts(path)[-1:] for path in run.states()]
    return sum(each.from_cache is not None for one in last for each in one)


# A thread of moto that executes a branch may outlive its execution for a moment.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "seeds", [range(2, 3), pytest.param(range(3, 12), marks=pytest.mark.long)], ids=str
)
def test_a_cached_run_is_a_fresh_run(me: Cloud, other: Cloud, seeds: range) -> None:
    ensure(["conducto-test/busybox:latest"])
    hits = 0
    for seed in seeds:
        for number, launch in enumerate(history(seed, 3)):
            tree = launch.program.tree()
            both = [(me, me.launch(tree)), (other, other.launch(tree, no_cache=True))]
            found = [_seen(cloud, run.settled(seconds=300)) for cloud, run in both]
            if launch.change is not None:
                for cloud, run in both:
                    change_file(_data(cloud, run), launch.change)
                    run.control(Action.RESET, *launch.reset)
                again = [_seen(cloud, run.settled(seconds=300)) for cloud, run in both]
                found = [[*one, *two] for one, two in zip(found, again, strict=True)]
            used, none = [_hits(run) for _, run in both]
            hits += used
            assert none == 0
            assert found[0] == found[1], f"seed {seed}, launch {number}: {launch}"
    assert hits > len(seeds)
