"""The cost of an Exec in calls to AWS, over moto: waiting time of a worker, and money."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.api.store import TableConnections
from chalicelib.aws.clients import Tags
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.logs.aws.logs import ChunkedLogs
from chalicelib.people.store.organisations import TableOrgs
from chalicelib.run.model import HealthChecked
from chalicelib.run.store import JournalStore
from chalicelib.secrets.aws import SecretsManager
from chalicelib.services import Services
from support.cloud.aws import BUCKET, TABLE, aws
from support.cloud.world import LARGE, ME, World
from support.trees import parallel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.clients import Clients


class Counted:
    """A world whose store, output and secrets are at AWS, and a record of the calls."""

    def __init__(self, clients: Clients) -> None:
        self._calls: Counter[str] = Counter()
        for service in ("dynamodb", "s3", "secretsmanager"):
            clients.get(service).meta.events.register("before-call", self._note)
        table, bucket = DynamoTable(clients, TABLE), S3Bucket(clients, BUCKET)
        self.orgs = orgs = TableOrgs(table, lambda: self.world.now)
        orgs.set_plan(ME.org, LARGE)
        self.world = World(
            LARGE,
            store=JournalStore(table, bucket, orgs),
            orgs=orgs,
            logs=ChunkedLogs(table, bucket),
            vault=SecretsManager(clients, table, "conducto/test/", Tags("test")),
            connections=TableConnections(table, clients, lambda: "", lambda: self.world.now),
        )

    def _note(self, model: Any, **_: Any) -> None:
        self._calls[model.name] += 1

    @contextmanager
    def calls(self) -> Iterator[Counter[str]]:
        """Give the calls that are made meanwhile, once they were made."""
        found: Counter[str] = Counter()
        before = self._calls.copy()
        yield found
        found.update(self._calls - before)


@pytest.fixture
def counted() -> Iterator[Counted]:
    with aws() as clients:
        yield Counted(clients)


def test_the_calls_of_one_exec_are_counted(counted: Counted) -> None:
    world = counted.world
    pipeline = world.launch(parallel("a", "b"))
    world.start_workers()
    hand = world.living()[0]
    world.interpreter_moved()

    with counted.calls() as claim:
        assert hand.look()
    with counted.calls() as heartbeat:
        hand.heartbeat()
    with counted.calls() as log:
        hand.print("hello\n")
    with counted.calls() as more:
        hand.print("again\n", offset=6)
    with counted.calls() as report:
        hand.finish()

    # The user and the organisation have no secrets, so Secrets Manager is not asked.
    assert claim == {"Query": 2, "TransactWriteItems": 1, "GetItem": 2}
    assert heartbeat == {"Query": 1, "PutItem": 1, "GetItem": 1}  # whether a client follows
    assert log == {"PutItem": 2, "GetItem": 1}  # the stream, its first chunk; does anybody read
    assert more == {"PutItem": 1, "GetItem": 1}
    # The transaction is the entry; the seconds are counted later. The queries: the journal, the
    # followers, and the nodes that wait for the worker that has no command now.
    assert report == {"Query": 3, "TransactWriteItems": 1}
    assert world.get(pipeline).counts.done == 1


def test_lost_race_does_not_reread_immutable_data(counted: Counted) -> None:
    world = counted.world
    pipeline = world.launch(parallel("a", "b"))
    slow, fast = (Services(world.cloud).engine for _ in range(2))
    lost: list[int] = []

    def decide(live: Any) -> HealthChecked:
        if not lost:
            lost.append(live.number)
            fast.submit(ME.org, pipeline, lambda _: HealthChecked(time=world.now))
        return HealthChecked(time=world.now)

    for engine in (slow, fast):
        with engine.reading(ME.org, pipeline):
            pass
    with counted.calls() as calls:
        assert slow.submit(ME.org, pipeline, decide)

    assert "GetObject" not in calls
    assert calls["TransactWriteItems"] == 4  # three entries, and the first turn
    assert calls.total() <= 12


def test_an_exec_of_an_org_that_has_all_its_workers_costs_one_call_more_a_step(
    counted: Counted,
) -> None:
    world = counted.world
    counted.orgs.set_plan(ME.org, replace(LARGE, max_workers=1))
    world.launch(parallel("a", "b", "c"))
    world.start_workers()
    (hand,) = world.living()
    world.interpreter_moved()

    with counted.calls() as claim:
        assert hand.look()
    with counted.calls() as report:
        hand.finish()

    assert (claim["GetItem"], claim.total()) == (3, 6)
    assert (report["GetItem"], report.total()) == (1, 4)
