"""Notifications in every store: the SQLite adapter and the shipped fake."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.store import MemoryStore

from conducto_core.notifications.model import DeliveryState, NotificationRecord
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.states import State
from conducto_local.store.port import Store, WriteBatch
from conducto_local.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = (
        MemoryStore() if request.param == "memory" else SqliteStore.open(tmp_path / "store.sqlite")
    )
    for pipeline in ("abc", "xyz"):
        store.create(PipelineRecord(id=pipeline, title="Train"), b"the tree")
    yield store
    store.close()


def note(number: int, path: str = "/a", **more: object) -> NotificationRecord:
    fields = {"number": number, "path": path, "about": path, "state": State.DONE, **more}
    return NotificationRecord.model_validate({**fields, "callback": "email"})


def test_new_pipeline_has_no_notifications(store: Store) -> None:
    assert (store.notifications("abc"), store.last_notification("abc")) == ([], 0)
    assert store.undelivered() == []


def test_they_come_in_order_and_by_node(store: Store) -> None:
    store.save("abc", WriteBatch(notifications=[note(2, "/b"), note(1), note(3)]))

    assert [each.number for each in store.notifications("abc")] == [1, 2, 3]
    assert [each.number for each in store.notifications("abc", "/a")] == [1, 3]
    assert store.last_notification("abc") == 3


def test_all_records_of_one_pipeline_are_returned(store: Store) -> None:
    full = note(1, arguments={"to": ["a@b.c"]}, text="line\nline", error="no", tries=2, ended=1.5)

    store.save("abc", WriteBatch(notifications=[full]))

    assert store.notifications("abc") == [full]


def test_sent_and_abandoned_notifications_are_not_sent_again(store: Store) -> None:
    store.save("abc", WriteBatch(notifications=[note(1), note(2), note(3)]))
    store.save("xyz", WriteBatch(notifications=[note(1)]))
    done = [note(1, delivery=DeliveryState.SENT), note(3, delivery=DeliveryState.FAILED)]

    store.save("abc", WriteBatch(notifications=done))

    assert [(one, each.number) for one, each in store.undelivered()] == [("abc", 2), ("xyz", 1)]
    assert store.notifications("abc")[0].delivery is DeliveryState.SENT


def test_deleted_pipeline_has_no_notifications(store: Store) -> None:
    store.save("abc", WriteBatch(notifications=[note(1)]))

    store.delete("abc")

    assert store.undelivered() == []
