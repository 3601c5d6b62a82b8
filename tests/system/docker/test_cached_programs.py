"""A cached run is a fresh run: random programs with files, in real containers of an agent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conducto_core.run.model.requests import Action
from support.cached_programs import Launch, change_file, files_of, history
from support.local import Local, Run, local_runner
from support.stand_ins import ensure

pytestmark = pytest.mark.docker

#: What a launch leaves: states, output and files.
Seen = list[Any]


async def _seen(run: Run) -> Seen:
    states = await run.states()
    output = {}
    for path in states:
        if await run.attempts(path):
            streams = [await run.output(path, stream) for stream in ("stdout", "stderr")]
            output[path] = [each.decode() for each in streams]
    return [states, output, files_of(run.data)]


async def _launched(local: Local, launch: Launch, **options: Any) -> tuple[Seen, int]:
    """Return all that a launch leaves, before and after the user acts, and its hits."""
    run = await local.run(launch.program.tree(), **options)
    found = await _seen(run)
    if launch.change is not None:
        change_file(run.data, launch.change)
        await run.control(Action.RESET, *launch.reset)
        await run.settled()
        found += await _seen(run)
    last = [(await run.attempts(path))[-1:] for path in await run.states()]
    return found, sum(each.from_cache is not None for one in last for each in one)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "seeds", [(2, 5), pytest.param(range(6, 40), marks=pytest.mark.long)], ids=str
)
async def test_a_cached_run_is_a_fresh_run(tmp_path: Path, seeds: Sequence[int]) -> None:
    ensure(["conducto-test/busybox:latest"])
    hits = 0
    async with (
        local_runner(tmp_path / "cached", profile="cached") as cached,
        local_runner(tmp_path / "fresh", profile="fresh") as fresh,
    ):
        for seed in seeds:
            for number, launch in enumerate(history(seed, 4)):
                found, used = await _launched(cached, launch)
                wanted, none = await _launched(fresh, launch, no_cache=True)
                hits += used
                assert none == 0
                assert found == wanted, f"seed {seed}, launch {number}: {launch}"
    assert hits > len(seeds)
