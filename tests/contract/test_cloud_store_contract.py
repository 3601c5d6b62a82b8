"""The cloud's store keeps its promises: in memory, and in DynamoDB and S3."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.cloud import FakeBlobs
from tests.fakes.cloud.memory import MemoryClients

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import MAX_INLINE, DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.errors import ConflictError, PlanLimitError, ThrottledError
from chalicelib.people.port import Share
from chalicelib.people.store.organisations import TableOrgs
from chalicelib.run.port import (
    Blobs,
    CloudRecord,
    Entry,
    Outgoing,
    Snapshot,
    Turn,
    TurnState,
    Waiting,
)
from chalicelib.run.store import MAX_ATTEMPTS, JournalStore
from conducto_core.billing.rules import BillingPlan
from conducto_core.notifications.model import DeliveryState, NotificationRecord
from conducto_core.run.model.records import (
    AttemptRecord,
    ChangeRow,
    NodeChange,
    ParentAttempt,
    PipelineRecord,
    PipelineStatus,
)
from conducto_core.run.model.states import NodeType, State
from support.cloud.aws import BUCKET, TABLE, aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.clients import Clients
    from chalicelib.people.store.organisations import TableOrgs
    from chalicelib.run.store import JournalStore


class Over:
    """A store, and the orgs that it counts workers of."""

    def __init__(self, store: JournalStore, orgs: TableOrgs) -> None:
        self.store = store
        self.orgs = orgs


@pytest.fixture
def clients() -> Iterator[Clients]:
    with aws() as made:
        yield made


@pytest.fixture
def real(clients: Clients) -> Over:
    table = DynamoTable(clients, TABLE)
    orgs = TableOrgs(table, lambda: 1000.0)
    return Over(JournalStore(table, S3Bucket(clients, BUCKET), orgs), orgs)


@pytest.fixture
def over(any_clients: Clients, any_table: DynamoTable) -> Over:
    orgs = TableOrgs(any_table, lambda: 1000.0)
    in_memory = isinstance(any_clients, MemoryClients)
    bucket: Blobs = FakeBlobs() if in_memory else S3Bucket(any_clients, BUCKET)
    return Over(JournalStore(any_table, bucket, orgs), orgs)


@pytest.fixture
def store(over: Over) -> JournalStore:
    over.store.create(cloud_record("abc"), b"the definition")
    return over.store


def cloud_record(pipeline_id: str, org: str = "acme", created: float = 5.0) -> CloudRecord:
    return CloudRecord(org, PipelineRecord(id=pipeline_id, title="Train", created=created))


def entry(number: int, **more: Any) -> Entry:
    return Entry(number, {"kind": "x", "number": number}, **more)


def row(seq: int, path: str = "/a") -> ChangeRow:
    state = (NodeType.EXEC, State.QUEUED, False, None, False, 0, None, None)
    return ChangeRow(seq, seq / 8, path, *state)


def change(seq: int, path: str = "/a") -> NodeChange:
    return row(seq, path).published()


def attempt(path: str, number: int = 1, state: State = State.RUNNING) -> AttemptRecord:
    return AttemptRecord(path=path, number=number, state=state)


def test_a_pipeline_comes_back_as_it_was_given(over: Over) -> None:
    record = PipelineRecord(id="abc", title="Zürich 🚆", tags=("a b",), created=1764547200.123456)

    over.store.create(CloudRecord("acme", record), b"\0definition")

    assert over.store.record("acme", "abc") == record
    assert over.store.definition("abc") == b"\0definition"
    assert over.store.org_of("abc") == "acme"


def test_a_taken_id_is_refused_and_the_first_pipeline_is_left_alone(store: JournalStore) -> None:
    with pytest.raises(ConflictError):
        store.create(cloud_record("abc", "other"), b"another definition")

    assert store.definition("abc") == b"the definition"
    assert store.org_of("abc") == "acme"


def test_another_org_does_not_see_a_pipeline(store: JournalStore) -> None:
    assert store.record("other", "abc") is None
    assert store.records("other") == ((), None)
    assert store.org_of("xyz") is None


def test_pipelines_are_listed_by_pages_the_newest_first(over: Over) -> None:
    for i in range(7):
        over.store.create(cloud_record(f"p{i}", created=float(i)), b"")
    over.store.create(cloud_record("theirs", "other"), b"")

    first, after = over.store.records("acme", limit=4)
    second, end = over.store.records("acme", after=after, limit=4)

    assert [record.id for record in first + second] == ["p6", "p5", "p4", "p3", "p2", "p1", "p0"]
    assert end is None


def test_a_page_that_ends_with_the_last_pipeline_leads_nowhere(over: Over) -> None:
    for i in range(3):
        over.store.create(cloud_record(f"p{i}"), b"")

    assert over.store.records("acme", limit=3)[1] is None


def test_an_entry_is_written_once(store: JournalStore) -> None:
    store.commit("acme", "abc", entry(1))

    with pytest.raises(ConflictError):
        store.commit("acme", "abc", entry(1, changes=[row(1)], attempts=[attempt("/a")]))

    assert [e.number for e in store.news("abc", 0).entries] == [1]
    assert list(store.changes("abc", 0, 10)) == []
    assert list(store.attempts("abc")) == []


def test_one_of_several_concurrent_writers_wins_each_entry(store: JournalStore) -> None:
    def write(number: int) -> bool:
        try:
            store.commit("acme", "abc", entry(number % 4 + 1))
        except ConflictError:
            return False
        return True

    for _ in range(4):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(16)))

    assert [e.number for e in store.news("abc", 0).entries] == [1, 2, 3, 4]


def test_entries_are_read_on_from_a_number_in_order(store: JournalStore) -> None:
    for number in range(1, 13):
        store.commit("acme", "abc", entry(number))

    assert [e.number for e in store.news("abc", 9).entries] == [10, 11, 12]
    assert [dict(e.input) for e in store.news("abc", 11).entries] == [{"kind": "x", "number": 12}]
    assert store.news("abc", 12).entries == []
    assert [n for n in range(1, 15) if store.ends_with("abc", n)] == [12]
    assert not store.ends_with("unknown", 1)


def test_an_entry_of_another_orgs_pipeline_is_refused(store: JournalStore) -> None:
    with pytest.raises((ConflictError, LookupError)):
        store.commit("other", "abc", entry(1))

    assert store.news("abc", 0).entries == []


def test_the_record_of_an_entry_replaces_the_one_before(store: JournalStore) -> None:
    status = PipelineStatus(state=State.RUNNING, settled=False, seq=3)
    record = PipelineRecord(id="abc", title="Train", armed=True, status=status, created=5.0)

    store.commit("acme", "abc", entry(1, record=record))
    store.commit("acme", "abc", entry(2))

    assert store.record("acme", "abc") == record
    assert store.records("acme")[0] == (record,)


def test_newest_entry_decides_whether_a_pipeline_is_open(store: JournalStore) -> None:
    assert list(store.open_pipelines()) == []

    store.commit("acme", "abc", entry(1))
    assert list(store.open_pipelines()) == [("acme", "abc")]

    store.commit("acme", "abc", entry(2, open=False))
    assert list(store.open_pipelines()) == []

    store.commit("acme", "abc", entry(3, open=True))
    assert list(store.open_pipelines()) == [("acme", "abc")]


def test_newest_entry_decides_whether_a_pipeline_asks(store: JournalStore) -> None:
    record = PipelineRecord(id="abc", title="Train")

    store.commit("acme", "abc", entry(1, record=record, asks=True))
    assert list(store.asking_pipelines("acme")) == [record]
    assert list(store.asking_pipelines("ac")) == []
    assert list(store.open_pipelines()) == [("acme", "abc")]

    store.commit("acme", "abc", entry(2, open=False, asks=True))
    assert list(store.asking_pipelines("acme")) == []
    assert list(store.resting_pipelines()) == [("acme", "abc")]

    store.commit("acme", "abc", entry(3))
    assert list(store.asking_pipelines("acme")) == []


def test_changes_are_read_on_from_a_number_across_entries(store: JournalStore) -> None:
    store.commit("acme", "abc", entry(1, changes=[row(1), row(2), row(3)]))
    store.commit("acme", "abc", entry(2, seq=3))
    store.commit("acme", "abc", entry(3, changes=[row(4), row(5)]))

    def seqs(after: int, limit: int = 10) -> list[int]:
        return [c.seq for c in store.changes("abc", after, limit)]

    assert seqs(0) == [1, 2, 3, 4, 5]
    assert seqs(2) == [3, 4, 5]
    assert seqs(3, 1) == [4]
    assert seqs(1, 2) == [2, 3]
    assert seqs(5) == []
    assert seqs(99) == []


def test_changes_are_found_in_a_long_journal(store: JournalStore) -> None:
    for number in range(1, 151):  # every third entry has two changes
        seq = (number + 2) // 3 * 2
        changes = [row(seq - 1), row(seq)] if number % 3 == 1 else []
        store.commit("acme", "abc", entry(number, changes=changes, seq=seq))

    for after in range(101):
        found = [c.seq for c in store.changes("abc", after, 5)]
        assert found == list(range(after + 1, 101))[:5], after


def test_attempts_come_by_path_and_number_and_the_newest_state_counts(store: JournalStore) -> None:
    started = [attempt("/a b"), attempt("/a"), attempt("/a/b"), attempt("/b")]
    store.commit("acme", "abc", entry(1, attempts=started))
    ended = [attempt("/a", 1, State.ERROR), attempt("/a", 2)]
    store.commit("acme", "abc", entry(2, attempts=ended))

    found = [(a.path, a.number, a.state) for a in store.attempts("abc")]

    assert found == [
        ("/a", 1, State.ERROR),
        ("/a", 2, State.RUNNING),
        ("/a b", 1, State.RUNNING),
        ("/a/b", 1, State.RUNNING),
        ("/b", 1, State.RUNNING),
    ]
    assert [a.number for a in store.attempts("abc", "/a")] == [1, 2]
    assert list(store.attempts("abc", "/c")) == []


def test_long_paths_stay_distinguishable(store: JournalStore) -> None:
    head = "/" + "ü" * 900
    store.commit("acme", "abc", entry(1, attempts=[attempt(head + "a"), attempt(head + "b")]))

    assert [a.path for a in store.attempts("abc", head + "b")] == [head + "b"]
    assert len(list(store.attempts("abc"))) == 2


def test_an_entry_may_end_any_number_of_attempts(store: JournalStore) -> None:
    many = [attempt(f"/{i:04}") for i in range(MAX_ATTEMPTS + 40)]

    store.commit("acme", "abc", entry(1, attempts=many))

    assert [a.path for a in store.attempts("abc")] == [a.path for a in many]


def test_an_entry_may_be_larger_than_an_item(store: JournalStore) -> None:
    # Incompressible text, so that it is large in the table as well.
    noise = "".join(chr(33 + (i * i * 7919 + i // 3) % 90) for i in range(4 * MAX_INLINE))
    large = AttemptRecord(path="/a", number=1, state=State.RUNNING, command=noise)
    changes = [row(i, f"/{noise[i * 40 : i * 40 + 40]}") for i in range(1, 20_000)]

    store.commit("acme", "abc", Entry(1, {"noise": noise}, changes=changes, attempts=[large]))

    assert store.news("abc", 0).entries[0].input == {"noise": noise}
    assert list(store.attempts("abc", "/a")) == [large]
    published = [each.published() for each in changes[19_990:]]
    assert list(store.changes("abc", 19_990, 100)) == published


def test_the_turn_is_passed_on_by_one_of_two_that_saw_it(store: JournalStore) -> None:
    quiet = store.news("abc", 0).turn
    assert quiet == Turn(0, TurnState.QUIET)

    taken = store.pass_turn("abc", quiet, TurnState.TAKEN)
    with pytest.raises(ConflictError):
        store.pass_turn("abc", quiet, TurnState.TAKEN)
    opened = store.pass_turn("abc", taken, TurnState.OPEN)

    store.commit("acme", "abc", entry(1))
    assert store.news("abc", 0).turn == store.news("abc", 1).turn == opened
    assert opened == Turn(2, TurnState.OPEN)


def test_the_last_entry_of_a_turn_opens_it(store: JournalStore) -> None:
    taken = store.pass_turn("abc", Turn(), TurnState.TAKEN)
    store.commit("acme", "abc", entry(1, turn=taken.version, opens=True))

    opened = store.news("abc", 0).turn
    assert opened == Turn(2, TurnState.OPEN, entry=1)
    with pytest.raises(ConflictError):
        store.commit("acme", "abc", entry(2, turn=taken.version, opens=True))
    assert store.news("abc", 0).turn == opened
    assert store.pass_turn("abc", opened, TurnState.TAKEN).entry == 0


def test_an_entry_of_a_turn_that_is_over_is_refused(store: JournalStore) -> None:
    first = store.pass_turn("abc", Turn(), TurnState.TAKEN)
    store.commit("acme", "abc", entry(1, turn=first.version))
    second = store.pass_turn("abc", first, TurnState.TAKEN)

    with pytest.raises(ConflictError):
        store.commit("acme", "abc", entry(2, turn=first.version))

    store.commit("acme", "abc", entry(2, turn=second.version))
    assert [e.number for e in store.news("abc", 0).entries] == [1, 2]


def test_inputs_wait_until_they_are_deleted(store: JournalStore) -> None:
    waiting = [Waiting(f"{number}-x", {"number": number}) for number in (3, 1, 2)]
    for each in (*waiting, waiting[0]):
        store.put_waiting("abc", each)
    assert [each.id for each in store.waiting("abc", 2)] == ["1-x", "2-x"]
    assert store.waiting("abc", 10)[2] == waiting[0]

    store.drop_waiting("abc", ["1-x", "3-x", "unknown"])
    assert [each.id for each in store.waiting("abc", 10)] == ["2-x"]


def test_record_and_listing_stay_unless_an_entry_writes_them(store: JournalStore) -> None:
    first = PipelineRecord(id="abc", title="Train", created=5.0)
    later = first.model_copy(update={"armed": True})
    store.commit("acme", "abc", entry(1, record=first))

    store.commit("acme", "abc", entry(2, listed=False, record=later, open=False))
    assert store.record("acme", "abc") == store.records("acme")[0][0] == first
    assert list(store.open_pipelines()) == [("acme", "abc")]

    assert store.put_record("acme", later, 2)
    assert not store.put_record("acme", first, 2)
    assert not store.put_record("other", first, 3)
    assert store.record("acme", "abc") == store.records("acme")[0][0] == later
    assert list(store.open_pipelines()) == [("acme", "abc")]


def test_a_deleted_pipeline_gets_no_entry(real: Over) -> None:
    real.store.create(cloud_record("abc"), b"")
    real.store.commit("acme", "abc", entry(1))
    real.store.forget("abc")

    with pytest.raises(LookupError):
        real.store.commit("acme", "abc", entry(2, listed=False))
    assert not real.store.put_record("acme", cloud_record("abc").record, 2)
    assert real.store.news("abc", 0).entries == []


def test_after_a_deletion_inputs_expire_and_no_request_gets_a_turn(
    real: Over, clients: Clients
) -> None:
    table = DynamoTable(clients, TABLE)
    real.store.create(cloud_record("gone"), b"")
    turn = real.store.pass_turn("gone", Turn(), TurnState.TAKEN)
    real.store.forget("gone")
    real.store.put_waiting("gone", Waiting("1-x", {}))
    with pytest.raises(ConflictError):
        real.store.pass_turn("gone", Turn(), TurnState.TAKEN)
    with pytest.raises(ConflictError):
        real.store.pass_turn("gone", turn, TurnState.OPEN)

    partitions = (table_keys.waiting("gone", "").partition, table_keys.turn("gone").partition)
    found = [item for each in partitions for _, item in table.range(each, "!", "~")]

    assert len(found) == 1
    assert all(0 < int(item["expires"]) - time.time() <= 86_400 for item in found)


def test_readers_stop_at_a_gap_that_a_query_shows(real: Over) -> None:
    real.store.create(cloud_record("abc"), b"")
    for number in (1, 2, 4):
        real.store.commit("acme", "abc", entry(number))

    assert [e.number for e in real.store.news("abc", 0).entries] == [1, 2]
    assert real.store.news("abc", 2).entries == []


def test_the_newest_snapshot_stays(store: JournalStore) -> None:
    assert store.snapshot("abc") is None

    store.put_snapshot("abc", Snapshot(5, {"a": [1, "x"]}))
    store.put_snapshot("abc", Snapshot(3, {"a": "older"}))
    assert store.snapshot("abc") == Snapshot(5, {"a": [1, "x"]})

    store.put_snapshot("abc", Snapshot(6, {"a": "newer"}))
    assert store.snapshot("abc") == Snapshot(6, {"a": "newer"})


def test_a_generated_tree_is_kept_under_its_content(store: JournalStore) -> None:
    key = store.keep_tree("abc", b"tree")

    assert store.keep_tree("abc", b"tree") == key
    assert store.keep_tree("abc", b"another") != key
    assert store.tree("abc", key) == b"tree"
    with pytest.raises(LookupError):
        store.tree("abc", f"{key.partition('-')[0]}-{'0' * 64}")


def test_workers_are_counted_up_to_the_allowance_of_the_plan(over: Over) -> None:
    over.store.create(cloud_record("abc"), b"")
    over.store.commit("acme", "abc", entry(1, workers=2))

    with pytest.raises(PlanLimitError, match="2 workers at once"):
        over.store.commit("acme", "abc", entry(2, workers=1))
    assert over.orgs.workers("acme") == 2
    assert [e.number for e in over.store.news("abc", 0).entries] == [1]

    over.store.commit("acme", "abc", entry(2, workers=-1))
    over.store.commit("acme", "abc", entry(3, workers=1))
    assert over.orgs.workers("acme") == 2


def test_more_workers_than_a_plan_ever_allows_are_refused_at_once(over: Over) -> None:
    over.store.create(cloud_record("abc"), b"")

    with pytest.raises(PlanLimitError):
        over.store.commit("acme", "abc", entry(1, workers=3))

    over.orgs.set_plan("acme", BillingPlan("scale", max_workers=100))
    over.store.commit("acme", "abc", entry(1, workers=100))
    assert over.orgs.workers("acme") == 100


def test_context_reservations_are_counted_up_to_the_allowance_of_the_plan(over: Over) -> None:
    over.store.create(cloud_record("abc"), b"")
    over.store.commit("acme", "abc", entry(1, workers=1, reserved=2, admits=True))

    with pytest.raises(PlanLimitError):
        over.store.commit("acme", "abc", entry(2, workers=1, reserved=1, admits=True))
    over.store.commit("acme", "abc", entry(2, workers=1))
    assert over.orgs.in_use("acme")[:3] == (BillingPlan(), 2, 2)

    over.store.commit("acme", "abc", entry(3, reserved=1))  # a started context needs more
    over.store.commit("acme", "abc", entry(4, workers=-2, reserved=-3))
    assert over.orgs.in_use("acme")[:3] == (BillingPlan(), 0, 0)


def test_the_shares_of_an_orgs_pipelines_are_known(over: Over) -> None:
    for name in ("abc", "xyz"):
        over.store.create(cloud_record(name), b"")
    over.store.create(cloud_record("theirs", "other"), b"")
    waits = Share(waiting=1000.5)
    over.store.commit("acme", "abc", entry(1, workers=2, share=Share(workers=2, reserved=1)))
    over.store.commit("acme", "xyz", entry(1, share=waits))
    over.store.commit("other", "theirs", entry(1, share=waits))
    assert over.orgs.shares("acme") == {"abc": Share(workers=2, reserved=1), "xyz": waits}

    over.store.commit("acme", "abc", entry(2, workers=-2, share=Share()))
    over.store.forget("xyz")
    assert over.orgs.shares("acme") == {}


def test_a_share_is_written_with_its_entry_or_not_at_all(store: JournalStore, over: Over) -> None:
    store.commit("acme", "abc", entry(1))
    with pytest.raises(ConflictError):
        store.commit("acme", "abc", entry(1, share=Share(waiting=1.0)))
    assert over.orgs.shares("acme") == {}


def test_two_pipelines_of_an_org_share_its_workers(over: Over) -> None:
    for name in ("abc", "xyz"):
        over.store.create(cloud_record(name), b"")
    over.store.create(cloud_record("theirs", "other"), b"")
    over.store.commit("acme", "abc", entry(1, workers=2))

    with pytest.raises(PlanLimitError):
        over.store.commit("acme", "xyz", entry(1, workers=1))
    over.store.commit("other", "theirs", entry(1, workers=2))


def test_a_lost_race_is_no_matter_of_the_plan(over: Over) -> None:
    over.store.create(cloud_record("abc"), b"")
    over.store.commit("acme", "abc", entry(1, workers=2))

    with pytest.raises(ConflictError):
        over.store.commit("acme", "abc", entry(1, workers=1))


def test_last_heartbeat_of_each_worker_is_known(store: JournalStore) -> None:
    assert store.workers_seen("abc") == {}

    store.note_worker("abc", "w1", 10.5)
    store.note_worker("abc", "w2", 11.0)
    store.note_worker("abc", "w1", 12.5)

    assert store.workers_seen("abc") == {"w1": 12.5, "w2": 11.0}


def test_attempts_that_were_cut_off_while_they_were_spread_are_all_read(
    real: Over, clients: Clients
) -> None:
    """The process that committed an entry died before it wrote its attempts one by one."""
    real.store.create(cloud_record("abc"), b"")
    many = [attempt(f"/{i:04}") for i in range(MAX_ATTEMPTS + 1)]
    with refusing(clients, "PutItem", after=3), pytest.raises(ThrottledError):
        real.store.commit("acme", "abc", entry(1, attempts=many))
    real.store.commit("acme", "abc", entry(2, attempts=[attempt("/0050", 1, State.DONE)]))

    found = {a.path: a.state for a in real.store.attempts("abc")}

    assert len(found) == len(many)
    assert found["/0050"] is State.DONE  # older changes did not overwrite it


THROTTLED = {
    "TransactWriteItems": lambda store: store.commit("acme", "abc", entry(1)),
    "Query": lambda store: store.news("abc", 0),
    "GetItem": lambda store: store.record("acme", "abc"),
}


@pytest.mark.parametrize("operation", THROTTLED)
def test_throttled_table_raises_throttled_error(
    real: Over, clients: Clients, operation: str
) -> None:
    real.store.create(cloud_record("abc"), b"")

    with refusing(clients, operation), pytest.raises(ThrottledError):
        THROTTLED[operation](real.store)


def conflicting(clients: Clients, count: int | None) -> Any:
    from support.cloud.throttle import throttled

    code = "TransactionConflictException"
    return throttled(clients.get("dynamodb"), "UpdateItem", code=code, count=count)


def test_item_that_a_transaction_is_writing_is_written_a_moment_later(
    real: Over, clients: Clients
) -> None:
    with conflicting(clients, 3) as refused:
        real.orgs.set_plan("acme", BillingPlan("larger", max_workers=77))

    assert len(refused) == 3
    assert real.orgs.plan("acme").max_workers == 77


def test_item_that_is_in_transactions_all_the_time_is_throttled(
    real: Over, clients: Clients
) -> None:
    with conflicting(clients, None), pytest.raises(ThrottledError):
        real.orgs.set_plan("acme", BillingPlan("larger", max_workers=77))


def refusing(clients: Clients, operation: str, after: int = 0) -> Any:
    from support.cloud.throttle import throttled

    return throttled(clients.get("dynamodb"), operation, after)


def new_notifications(number: int, text: str = "it is done") -> NotificationRecord:
    return NotificationRecord(
        number=number,
        path="/a",
        about="/a",
        state=State.DONE,
        callback="slack_status",
        arguments={"recipient": "#ops"},
        text=text,
        created=1000.0 + number,
    )


def test_notifications_come_back_by_entry_and_are_due_from_when_they_were_made(
    store: JournalStore,
) -> None:
    store.commit(
        "acme", "abc", entry(1, notifications=[new_notifications(1), new_notifications(2)])
    )
    store.commit("acme", "abc", entry(2))
    store.commit("acme", "abc", entry(3, notifications=[new_notifications(3)]))

    assert list(store.outgoing("abc")) == [
        Outgoing(1, 1, 1001.0, (new_notifications(1), new_notifications(2))),
        Outgoing(3, 1, 1003.0, (new_notifications(3),)),
    ]
    assert list(store.outgoing_due(1000.0)) == []
    assert list(store.outgoing_due(1003.0)) == [("acme", "abc")]


def test_sent_notification_is_kept_and_no_longer_due(store: JournalStore) -> None:
    store.commit("acme", "abc", entry(1, notifications=[new_notifications(1)]))
    sent = new_notifications(1).model_copy(update={"delivery": DeliveryState.SENT, "tries": 1})

    store.put_outgoing("acme", "abc", Outgoing(1, 2, 2000.0, (new_notifications(1),)))
    assert list(store.outgoing_due(1999.0)) == []
    assert list(store.outgoing_due(2000.0)) == [("acme", "abc")]
    store.put_outgoing("acme", "abc", Outgoing(1, 3, None, (sent,)))

    assert list(store.outgoing("abc")) == [Outgoing(1, 3, None, (sent,))]
    assert list(store.outgoing_due(9e9)) == []


@pytest.mark.parametrize("version", [1, 3])
def test_one_of_two_writers_of_notification_states_wins(store: JournalStore, version: int) -> None:
    store.commit("acme", "abc", entry(1, notifications=[new_notifications(1)]))

    with pytest.raises(ConflictError):
        store.put_outgoing("acme", "abc", Outgoing(1, version, None, (new_notifications(1),)))

    assert list(store.outgoing("abc")) == [Outgoing(1, 1, 1001.0, (new_notifications(1),))]


def test_notifications_of_an_entry_that_is_not_there_are_refused(store: JournalStore) -> None:
    with pytest.raises(ConflictError):
        store.put_outgoing("acme", "abc", Outgoing(7, 2, None, (new_notifications(1),)))


def test_entry_that_loses_the_race_stores_no_notifications(store: JournalStore) -> None:
    store.commit("acme", "abc", entry(1))

    with pytest.raises(ConflictError):
        store.commit("acme", "abc", entry(1, notifications=[new_notifications(1)]))

    assert list(store.outgoing("abc")) == []
    assert list(store.outgoing_due(9e9)) == []


def test_very_many_notifications_of_one_entry_are_kept(store: JournalStore) -> None:
    many = tuple(
        new_notifications(n, text="".join(map(str, range(n, n + 500)))) for n in range(1, 1001)
    )

    store.commit("acme", "abc", entry(1, notifications=many, attempts=[attempt("/a")]))

    (outgoing,) = store.outgoing("abc")
    assert outgoing.notifications == many


def test_notifications_on_their_way_make_no_pipeline_open(store: JournalStore) -> None:
    store.commit("acme", "abc", entry(1, notifications=[new_notifications(1)], open=False))

    assert list(store.open_pipelines()) == []


def test_pipelines_that_are_not_open_are_resting(store: JournalStore) -> None:
    assert list(store.resting_pipelines()) == [("acme", "abc")]

    store.commit("acme", "abc", entry(1))
    assert list(store.resting_pipelines()) == []

    store.commit("acme", "abc", entry(2, open=False))
    assert list(store.resting_pipelines()) == [("acme", "abc")]


def test_deleted_pipeline_leaves_nothing_and_no_other_is_deleted(store: JournalStore) -> None:
    store.create(cloud_record("other"), b"definition")
    store.keep_tree("abc", b"tree")
    for pipeline in ("abc", "other"):
        store.commit("acme", pipeline, entry(1, changes=[row(1)], attempts=[attempt("/a")]))
        store.put_snapshot(pipeline, Snapshot(1, {"state": "x" * 2 * MAX_INLINE}))
        store.note_worker(pipeline, "w1", 5.0)

    store.forget("abc")
    store.forget("abc")

    assert store.record("acme", "abc") is None
    assert [each.id for each in store.records("acme")[0]] == ["other"]
    assert list(store.open_pipelines()) == [("acme", "other")]
    assert len(store.news("other", 0).entries) == len(list(store.attempts("other"))) == 1
    assert store.snapshot("other") is not None
    assert store.definition("other") == b"definition"


def test_deleted_pipeline_leaves_neither_items_nor_objects(real: Over, clients: Clients) -> None:
    def left() -> tuple[int, int]:
        items = clients.get("dynamodb").scan(TableName=TABLE)["Items"]
        objects = clients.get("s3").list_objects_v2(Bucket=BUCKET).get("Contents", ())
        return len(items), len(objects)

    before = left()
    real.store.create(cloud_record("gone"), b"definition")
    real.store.commit("acme", "gone", entry(1, changes=[row(1)], attempts=[attempt("/a")]))
    real.store.put_snapshot("gone", Snapshot(1, {"state": os.urandom(MAX_INLINE).hex()}))

    real.store.forget("gone")

    assert left() == before


def test_active_pipelines_of_an_org_are_counted(over: Over) -> None:
    busy = PipelineStatus(state=State.RUNNING, settled=False)
    for number, (org, status, open_) in enumerate(
        [("acme", busy, True)] * 3
        + [("acme", PipelineStatus(), True), ("acme", PipelineStatus(), False)]
        + [("ac", busy, True)]
    ):
        record = PipelineRecord(id=f"p{number}", title="Train", status=status)
        over.store.create(CloudRecord(org, record), b"")
        over.store.commit(org, record.id, entry(1, record=record, open=open_))

    assert over.store.count_active("acme", 10) == 3
    assert over.store.count_active("acme", 2) == 2
    assert over.store.count_active("other", 10) == 0
    assert len(list(over.store.open_pipelines())) == 5


def test_pipelines_that_an_attempt_launches_are_counted(store: JournalStore) -> None:
    parent = ParentAttempt(pipeline="abc", path="/a", attempt=1, depth=1)
    other = parent.model_copy(update={"attempt": 2})

    assert [store.count_child(each) for each in (parent, parent, other, parent)] == [0, 1, 0, 2]
