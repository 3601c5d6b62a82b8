"""Schedules in every store: the SQLite adapter, the table, and the shipped fake."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.schedules import MemorySchedules

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.events.port import CloudSchedules
from chalicelib.schedules.store import TableSchedules
from conducto_core.errors import RefusedError
from conducto_core.events.model import EventOrigin, StoredEvent
from conducto_core.schedules.model import (
    Chain,
    Firing,
    FiringCause,
    FiringState,
    GitSource,
    Schedule,
    TemplateSource,
)
from conducto_core.schedules.port import Schedules
from conducto_local.schedules.store import SqliteSchedules
from conducto_local.store.sqlite import SqliteStore
from support.cloud.aws import BUCKET, TABLE, aws

#: Stores of agents ignore it.
ORG = "acme"


@pytest.fixture(params=["memory", "sqlite", "table"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Schedules]:
    if request.param == "memory":
        yield MemorySchedules()
        return
    if request.param == "table":
        with aws() as clients:
            yield TableSchedules(DynamoTable(clients, TABLE), S3Bucket(clients, BUCKET))
        return
    sqlite = SqliteStore.open(tmp_path / "store.sqlite")
    yield sqlite.schedules
    sqlite.close()


def schedule(name: str = "nightly", **fields: object) -> Schedule:
    given = {"cron": "30 2 * * *", "next": 1000.0, **fields}
    return Schedule(name=name, what=TemplateSource(kind="template", pipeline="abc-def"), **given)


def firing(number: int, **fields: object) -> Firing:
    return Firing(
        id=f"{number:012d}", due=float(number), cause=FiringCause.SCHEDULE, at=1.5, **fields
    )


def test_schedule_is_stored_once_with_its_template(store: Schedules) -> None:
    assert store.create(ORG, schedule(), b"tree")
    assert not store.create(ORG, schedule(cron="* * * * *"), b"other")
    assert store.get(ORG, "nightly") == schedule()
    assert store.template(ORG, "nightly") == b"tree"
    assert store.get(ORG, "other") is None
    assert store.template(ORG, "other") is None


def test_event_is_stored_once_and_deleted_with_its_trigger(store: Schedules) -> None:
    store.create(ORG, schedule())
    origin = EventOrigin(mark="a" * 32, id="7", source="/shop")
    event = StoredEvent(origin=origin, firing="1", time=1000.0, payload={"a": ["é", None, 1.5]})
    assert store.event(ORG, "nightly", origin.mark) is None

    assert store.add_event(ORG, "nightly", event) == event
    assert store.add_event(ORG, "nightly", event.model_copy(update={"firing": "2"})) == event

    assert store.event(ORG, "nightly", origin.mark) == event
    assert store.event(ORG, "other", origin.mark) is None
    assert store.firings(ORG, "nightly") == []
    store.delete(ORG, "nightly")
    assert store.event(ORG, "nightly", origin.mark) is None


def test_replaced_templates_are_deleted_from_the_bucket() -> None:
    with aws() as clients:
        bucket = S3Bucket(clients, BUCKET)
        store = TableSchedules(DynamoTable(clients, TABLE), bucket)

        def kept() -> list[bytes | None]:
            listed = clients.get("s3").list_objects_v2(Bucket=BUCKET).get("Contents", ())
            return [bucket.get(each["Key"]) for each in listed]

        store.create(ORG, old := schedule(), b"tree")
        store.create(ORG, old, b"name is taken")
        assert kept() == [b"tree"]
        new = store.change(ORG, old, old, template=b"other")
        assert store.change(ORG, old, old, template=b"outdated") is None
        assert kept() == [store.template(ORG, "nightly")] == [b"other"]
        assert new is not None
        git = GitSource(kind="git", url="https://example.com/a.git", command="./tree")
        store.change(ORG, new, new.model_copy(update={"what": git}))
        assert kept() == []


def test_change_of_an_outdated_schedule_changes_nothing(store: Schedules) -> None:
    store.create(ORG, old := schedule())
    first = store.change(ORG, old, old.model_copy(update={"next": 2000.0}), [firing(1)])
    second = store.change(ORG, old, old.model_copy(update={"next": 3000.0}), [firing(2)])

    assert second is None
    assert first == store.get(ORG, "nightly")
    assert first is not None
    assert (first.next, first.revision) == (2000.0, 1)
    assert store.firings(ORG, "nightly") == [firing(1)]


def test_claim_resets_no_executed_firing(store: Schedules) -> None:
    store.create(ORG, old := schedule())
    launched = firing(1, state=FiringState.LAUNCHED, pipeline="abc-def")
    new = store.change(ORG, old, old, [firing(1), firing(2)])
    assert new is not None
    store.put_firing(ORG, "nightly", launched)
    missed = firing(2, state=FiringState.MISSED, until=9.0)

    store.change(ORG, new, new, [firing(1), missed])

    assert store.firings(ORG, "nightly") == [missed, launched]
    assert store.firing(ORG, "nightly", launched.id) == launched
    assert store.firing(ORG, "nightly", "unknown") is None


def test_missed_time_that_comes_again_is_fired(store: Schedules) -> None:
    store.create(ORG, old := schedule())
    missed = firing(1, state=FiringState.MISSED, until=9.0)
    new = store.change(ORG, old, old, [missed])
    assert new is not None

    store.change(ORG, new, new, [firing(1)])

    assert store.firing(ORG, "nightly", missed.id) == firing(1)


def damage(store: Schedules) -> None:
    """Damage the records of the schedule *nightly* and of its first firing."""
    if isinstance(store, TableSchedules):
        for key, name in (
            (table_keys.schedule(ORG, "nightly"), "schedule"),
            (table_keys.firing(ORG, "nightly", firing(1).id), "firing"),
        ):
            item = store._table.get(key)
            assert item is not None
            store._table.put(key, {**item, name: "{"})
        return
    assert isinstance(store, SqliteSchedules)
    with store._transaction() as connection:
        connection.execute("UPDATE schedules SET record='{' WHERE name='nightly'")
        connection.execute(
            "UPDATE firings SET record=CAST(x'ff' AS TEXT) WHERE schedule='nightly' AND id=?",
            (firing(1).id,),
        )


def test_damaged_records_are_named_and_affect_no_others(store: Schedules) -> None:
    if isinstance(store, MemorySchedules):
        pytest.skip("it has no records")
    for name in ("nightly", "other"):
        store.create(ORG, old := schedule(name))
        store.change(ORG, old, old, [firing(1), firing(2)])

    damage(store)

    nightly, other = store.list_by_name(ORG)
    assert (nightly.name, nightly.paused) == ("nightly", True)
    assert "'conducto schedule rm nightly'" in (nightly.paused_why or "")
    assert (other, store.firings(ORG, "other")) == (store.get(ORG, "other"), [firing(2), firing(1)])
    with pytest.raises(RefusedError, match="'nightly' is damaged"):
        store.get(ORG, "nightly")
    good, bad = store.firings(ORG, "nightly")
    assert (good, bad) == (firing(2), store.firing(ORG, "nightly", firing(1).id))
    assert (bad.due, bad.state) == (1.0, FiringState.FAILED)
    assert store.delete(ORG, "nightly")
    assert store.create(ORG, schedule())


def test_firings_come_in_pages_the_newest_first(store: Schedules) -> None:
    store.create(ORG, old := schedule())
    store.change(ORG, old, old, [firing(number) for number in range(1, 102)])

    page = store.firings(ORG, "nightly", limit=60)
    rest = store.firings(ORG, "nightly", before=page[-1].id, limit=60)

    assert [one.due for one in (*page, *rest)] == list(range(101, 0, -1))


def test_old_firings_are_removed(store: Schedules) -> None:
    if isinstance(store, MemorySchedules):
        pytest.skip("it keeps every firing")
    days = 3 * 86_400
    store.create(ORG, old := schedule(open=(firing(1).id,)))
    many = range(1, 4) if isinstance(store, TableSchedules) else range(1, 1003)
    new = store.change(ORG, old, old, [firing(number) for number in many])
    assert new is not None
    store.change(ORG, new, new, [firing(days)])

    if isinstance(store, TableSchedules):
        item = store._table.get(table_keys.firing(ORG, "nightly", firing(1).id))
        assert item is not None
        assert item["expires"] == 1 + 400 * 86_400
        return
    kept = [one.due for one in store.firings(ORG, "nightly", limit=2000)]
    assert kept == [days, *range(1002, 3, -1), 1]  # the first one is open


def test_due_schedules_are_those_that_need_attention(store: Schedules) -> None:
    for one in (
        schedule("late", next=100.0),
        schedule("later", next=200.0),
        schedule("paused", next=None, paused=True),
        schedule("busy", next=900.0, open=("1",)),
        schedule("chain", cron=None, next=None, after=Chain(title="Load")),
    ):
        store.create(ORG, one)

    assert sorted(name for _, name in store.due(150.0)) == ["busy", "chain", "late"]
    for now, following in ((50.0, 100.0), (150.0, 200.0), (900.0, None)):
        assert store.next_wake(now) == (None if isinstance(store, TableSchedules) else following)
    assert [one.name for one in store.list_by_name(ORG)] == sorted(
        ("late", "later", "paused", "busy", "chain")
    )


def test_deleted_schedule_leaves_nothing(store: Schedules) -> None:
    store.create(ORG, old := schedule(), b"tree")
    store.change(ORG, old, old, [firing(1)])

    assert store.delete(ORG, "nightly")
    assert not store.delete(ORG, "nightly")
    assert store.create(ORG, schedule())
    assert store.firings(ORG, "nightly") == []
    assert store.template(ORG, "nightly") is None
    assert [name for _, name in store.due(5000.0)] == ["nightly"]


# ---- queues, which only the cloud has ------------------------------------------------------------


@pytest.fixture(params=["memory", "table"])
def cloud_store(request: pytest.FixtureRequest) -> Iterator[CloudSchedules]:
    if request.param == "memory":
        yield MemorySchedules()
        return
    with aws() as clients:
        yield TableSchedules(DynamoTable(clients, TABLE), S3Bucket(clients, BUCKET))


def test_events_of_a_batch_are_stored_together_or_not(cloud_store: CloudSchedules) -> None:
    def event(mark: str, firing: str) -> StoredEvent:
        return StoredEvent(origin=EventOrigin(mark=mark), firing=firing, time=1.0)

    first = [event(f"{number:03}", "1") for number in range(100)]
    assert cloud_store.add_events(ORG, "load", first)
    assert not cloud_store.add_events(ORG, "load", [event("new", "2"), event("042", "2")])

    assert cloud_store.event(ORG, "load", "042") == first[42]
    assert cloud_store.event(ORG, "load", "new") is None


def test_queue_fires_one_trigger(cloud_store: CloudSchedules) -> None:
    assert cloud_store.queue_trigger("arn") is None
    assert cloud_store.claim_queue("arn", ORG, "load")
    assert cloud_store.claim_queue("arn", ORG, "load")
    assert not cloud_store.claim_queue("arn", ORG, "other")
    assert cloud_store.claim_queue("arn", ORG, "other", (ORG, "load"))
    assert cloud_store.queue_trigger("arn") == (ORG, "other")
    cloud_store.release_queue("arn")
    assert cloud_store.queue_trigger("arn") is None
