"""Cached commands with files, in real containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import conducto as co
from conducto_core.run.model.states import State
from support.local import Local, local_runner
from support.stand_ins import ensure

pytestmark = pytest.mark.docker

BUSYBOX = "conducto-test/busybox:latest"


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    ensure([BUSYBOX])
    async with local_runner(tmp_path, profile="cached") as runner:
        yield runner


def tree(text: str) -> co.Serial:
    root = co.Serial(image=BUSYBOX, cpu=0.25, mem=0.25, title="files")
    root["seed"] = co.Exec(
        f"cd /conducto/data/pipeline && mkdir raw && echo {text} > raw/a && echo x > hidden"
    )
    root["make"] = co.Exec(
        "cd /conducto/data/pipeline; cat hidden; touch raw/new; "
        "touch /conducto/data/user/x; mkdir -p out/empty; cat raw/a > out/a; "
        "echo run > out/run; chmod +x out/run; ln -s a out/link",
        cache=co.Cache(reads=["raw/"], writes=["out/"]),
    )
    root["show"] = co.Exec(
        "cd /conducto/data/pipeline && find out | sort && cat out/link && out/run"
    )
    root["show"].suppress_errors = True
    return root


async def test_a_command_with_files_runs_once(local: Local) -> None:
    first = await local.run(tree("1"))
    second = await local.run(tree("1"))
    third = await local.run(tree("2"))

    errors = (await first.output("/make", "stderr")).decode()
    assert "No such file or directory" in errors
    assert errors.count("Read-only file system") == 2
    files = ["out", "out/a", "out/empty", "out/link", "out/run"]
    for run, text in ((first, "1"), (second, "1"), (third, "2")):
        assert (await run.output("/show")).decode().split() == [*files, text]
    made = [(await run.attempts("/make"))[-1] for run in (first, second, third)]
    assert [each.state for each in made] == [State.DONE] * 3
    assert [each.container is None for each in made] == [False, True, False]
    assert str(made[2].cache).endswith("files (raw/a)")
