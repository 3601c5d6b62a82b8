"""The files of cached commands in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.worker import FakeCommand
from tests.worker.test_worker import World, go, offer

from conducto_core.cache.files import FileUse
from conducto_core.run.model.states import Cause
from conducto_core.workers.model import FilesOfCommand
from conducto_worker.agent.views import Views

if TYPE_CHECKING:
    from pathlib import Path

FILES = FilesOfCommand(reads=("raw/",), writes=("out/",))


@pytest.fixture
def view(tmp_path: Path) -> Path:
    (tmp_path / "view").mkdir()
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/a").write_text("1")
    return tmp_path / "view"


def world(view: Path, *commands: FakeCommand, files: FilesOfCommand = FILES) -> World:
    names = [f"c{number}" for number in range(len(commands))]
    made = World(
        *map(offer, names),
        scripts=dict(zip(names, commands, strict=True)),
        views=Views(view, view.parent / "data"),
    )
    return made.say(**{name: go(name, path=f"/{name}", files=files) for name in names})


def test_files_are_moved_after_a_success_and_their_marks_sent(view: Path) -> None:
    def write() -> None:
        assert sorted(each.name for each in view.iterdir()) == ["raw"]
        (view / "out").mkdir()
        (view / "out/x").write_text("2")

    made = world(view, FakeCommand(act=write))
    made.run()
    (report,) = made.api.reports
    assert (report.cause, report.not_stored) == (None, None)
    assert (view.parent / "data/out/x").read_text() == "2"
    use = FileUse.from_bytes(made.log("files"))
    assert (sorted(use.read), sorted(use.wrote)) == (["raw/", "raw/a"], ["out/", "out/x"])


def test_a_failed_command_publishes_nothing_and_the_next_view_is_empty(view: Path) -> None:
    seen: list[list[str]] = []

    def write() -> None:
        seen.append(sorted(each.name for each in view.iterdir()))
        (view / "out").mkdir()

    made = world(view, FakeCommand(act=write, code=1), FakeCommand(act=write))
    made.run()
    assert seen == [["raw"], ["raw"]]
    assert made.log("files").count(b"wrote") == 1
    assert [each.cause for each in made.api.reports] == [Cause.EXIT_CODE, None]


def test_a_view_that_cannot_be_made_loses_the_attempt(view: Path) -> None:
    (view.parent / "data/raw/pipe").mkdir()
    made = world(view, FakeCommand(), files=FilesOfCommand(reads=("**",), copies=True))
    view.rmdir()
    made.run()
    (report,) = made.api.reports
    assert report.cause is Cause.WORKER_LOST
    assert str(report.message).startswith("its files could not be prepared")
    assert made.commands.began == []


def test_a_directory_of_inputs_that_moved_loses_the_attempt(view: Path) -> None:
    def move() -> None:
        (view / "out").mkdir()
        (view / "raw").rename(view / "out/raw")

    made = world(view, FakeCommand(act=move))
    made.run()
    (report,) = made.api.reports
    assert report.cause is Cause.WORKER_LOST
    assert "cannot be moved to the data" in str(report.message)
    assert made.log("files") == b""
