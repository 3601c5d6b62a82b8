"""New files in a directory are events: complete ones, once, also after a restart of the agent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.schedules import MemorySchedules

from conducto_core.events.intake import EventIntake
from conducto_core.events.model import EventRule
from conducto_core.schedules.model import Schedule, TemplateSource
from conducto_local.events.watch import DirectoryWatch

if TYPE_CHECKING:
    from pathlib import Path

CREATED = 1_800_000_000.0


class Inbox:
    """A watched directory."""

    def __init__(self, folder: Path, **rule: Any) -> None:
        self.folder = folder
        self.store = MemorySchedules()
        self.now = CREATED + 100
        on = EventRule(source="watch", directory=str(folder), **rule)
        what = TemplateSource(kind="template", pipeline="abc-def")
        self.store.create("", Schedule(name="inbox", on=on, what=what, created=CREATED))
        self.counts: list[str] = []
        self.restart()

    def restart(self) -> None:
        intake = EventIntake(self.store, lambda: self.now, self._count)
        self.watch = DirectoryWatch(self.store, intake, lambda: None)

    def _count(self, _org: str, name: str) -> int:
        self.counts.append(name)
        return len(self.counts)

    def write(self, name: str, text: str = "x", age: float = 0.0) -> None:
        (self.folder / name).write_text(text)
        os.utime(self.folder / name, (self.now - age, self.now - age))

    def names(self) -> list[str]:
        """Return the files of all firings."""
        found = []
        for firing in self.store.firings("", "inbox"):
            assert firing.event is not None
            event = self.store.event("", "inbox", firing.event.mark)
            assert event is not None
            found.append(event.payload["name"])
        return sorted(found)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


def test_file_is_taken_once_when_it_no_longer_changes(inbox: Inbox) -> None:
    inbox.write("a.csv", "1")
    assert inbox.watch.poll() == 0
    inbox.write("a.csv", "12")
    assert inbox.watch.poll() == 0
    assert inbox.watch.poll() == 1
    assert inbox.watch.poll() == 0
    (firing,) = inbox.store.firings("", "inbox")
    assert firing.event is not None
    event = inbox.store.event("", "inbox", firing.event.mark)
    assert event is not None
    assert event.payload == {
        "path": str(inbox.folder / "a.csv"), "name": "a.csv", "size": 2, "modified": inbox.now,
    }  # fmt: skip

    inbox.now += 10
    inbox.write("a.csv", "12")
    inbox.watch.poll()
    inbox.watch.poll()
    assert inbox.names() == ["a.csv", "a.csv"]


def test_restarted_agent_launches_for_new_files_once(inbox: Inbox) -> None:
    inbox.write("a.csv")
    inbox.watch.poll()
    inbox.watch.poll()
    inbox.write("b.csv")

    inbox.restart()
    inbox.watch.poll()
    inbox.watch.poll()

    assert inbox.names() == ["a.csv", "b.csv"]


def test_old_and_hidden_files_and_directories_are_left_out(inbox: Inbox) -> None:
    inbox.write("old.csv", age=101)
    inbox.write(".hidden")
    (inbox.folder / "sub").mkdir()
    inbox.watch.poll()
    assert inbox.watch.poll() == 0
    inbox.folder.rename(inbox.folder.with_name("gone"))
    assert inbox.watch.poll() == 0


def test_files_above_the_rate_wait(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, rate=2)
    for number in range(3):
        inbox.write(f"{number}.csv")
    inbox.watch.poll()
    assert inbox.watch.poll() == 2
    inbox.counts.clear()
    assert inbox.watch.poll() == 1
    assert inbox.names() == ["0.csv", "1.csv", "2.csv"]
