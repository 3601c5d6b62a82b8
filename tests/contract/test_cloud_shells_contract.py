"""Where debug shells are kept: in memory, and in the table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest
from botocore.exceptions import ClientError

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.debug.store import TableShells
from chalicelib.errors import PlanLimitError, ThrottledError
from chalicelib.people.store.organisations import TableOrgs
from chalicelib.run.store import JournalStore
from chalicelib.triggers.store import TableDeliveries
from chalicelib.workers.port import Shell
from conducto_core.billing.rules import BillingPlan
from conducto_core.triggers.model import Delivery, GitEvent, GitEventKind
from support.cloud.aws import BUCKET, TABLE, aws
from support.cloud.throttle import throttled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.clients import Clients

NOW = 1_000_000.0
SHELL = Shell("s1", "acme", "abc", "ann", "/a b", 2, 0.5, 8.0, opened=NOW, until=NOW + 60)


class Kept(NamedTuple):
    shells: TableShells
    orgs: TableOrgs


@pytest.fixture
def clients() -> Iterator[Clients]:
    with aws() as made:
        yield made


@pytest.fixture
def kept(any_table: DynamoTable) -> Kept:
    orgs = TableOrgs(any_table, lambda: NOW)
    return Kept(TableShells(any_table, orgs, lambda: NOW), orgs)


def test_a_shell_is_found_as_it_was_opened(kept: Kept) -> None:
    other = replace(SHELL, id="s2", attempt=None)
    kept.shells.open(SHELL)
    kept.shells.open(other)

    assert kept.shells.find("abc", "s1") == SHELL
    assert kept.shells.find("abc", "s2") == other
    assert kept.shells.find("abc", "s3") is None
    assert kept.shells.find("xyz", "s1") is None
    assert kept.orgs.workers("acme") == 2


def test_single_command_and_its_result_are_kept_until_it_is_over(kept: Kept) -> None:
    shell = replace(SHELL, runs="plain")
    kept.shells.open(shell)
    kept.shells.give(shell, "first")
    kept.shells.report(shell, "its end")
    first = kept.shells.find("abc", "s1")
    kept.shells.give(shell, "second")
    second = kept.shells.find("abc", "s1")
    kept.shells.end(shell, "over")
    kept.shells.give(shell, "third")
    over = kept.shells.find("abc", "s1")

    assert first == replace(shell, command="first", result="its end")
    assert second == replace(shell, command="second")
    assert over is not None
    assert (over.runs, over.command, over.result) == ("plain", "", "")


def test_open_shells_are_listed(kept: Kept) -> None:
    for shell in (SHELL, replace(SHELL, id="s2"), replace(SHELL, id="s1", pipeline_id="xyz-1")):
        kept.orgs.set_plan("acme", BillingPlan(max_workers=5))
        kept.shells.open(shell)
    kept.shells.end(SHELL, "over")

    assert [shell.id for shell in kept.shells.of_pipeline("abc")] == ["s2"]
    assert set(kept.shells.all_open()) == {("abc", "s2"), ("xyz-1", "s1")}


def test_facts_are_noted_until_it_is_over(kept: Kept) -> None:
    kept.shells.open(SHELL)
    kept.shells.started(SHELL, "arn:task")
    kept.shells.is_up(SHELL)
    assert kept.shells.find("abc", "s1") == replace(SHELL, task="arn:task", up=True)

    kept.shells.end(SHELL, "it was left")
    kept.shells.started(SHELL, "arn:other")

    over = replace(SHELL, task="arn:task", up=True, ended="it was left")
    assert kept.shells.find("abc", "s1") == over


def test_update_of_an_unknown_shell_does_not_create_it(kept: Kept) -> None:
    kept.shells.started(SHELL, "arn:task")
    kept.shells.is_up(SHELL)

    assert kept.shells.find("abc", "s1") is None
    assert kept.shells.end(SHELL, "over") is False
    assert kept.orgs.workers("acme") == 0


def test_it_is_counted_once_however_often_it_ends(kept: Kept) -> None:
    kept.shells.open(SHELL)

    assert [kept.shells.end(SHELL, why) for why in ("first", "second")] == [True, False]
    assert kept.orgs.workers("acme") == 0
    found = kept.shells.find("abc", "s1")
    assert found is not None
    assert found.ended == "first"


def test_shell_beyond_the_limit_is_rejected_and_not_stored(kept: Kept) -> None:
    kept.orgs.set_plan("acme", BillingPlan(max_workers=1))
    kept.shells.open(SHELL)

    with pytest.raises(PlanLimitError, match="1 workers"):
        kept.shells.open(replace(SHELL, id="s2"))
    assert kept.shells.find("abc", "s2") is None
    assert kept.orgs.workers("acme") == 1


def test_ended_shell_expires_after_some_days(clients: Clients) -> None:
    table = DynamoTable(clients, TABLE)
    shells = TableShells(table, TableOrgs(table, lambda: NOW), lambda: NOW)
    shells.open(SHELL)
    assert "expires" not in (table.get(table_keys.shell("abc", "s1")) or {})

    shells.end(SHELL, "over")

    item = table.get(table_keys.shell("abc", "s1"))
    assert item is not None
    assert int(item["expires"]) == NOW + 7 * 86_400


def test_throttled_table_fails_no_pipeline(clients: Clients) -> None:
    table = DynamoTable(clients, TABLE)
    orgs = TableOrgs(table, lambda: NOW)
    shells = TableShells(table, orgs, lambda: NOW)
    shells.open(SHELL)

    with (
        throttled(clients.get("dynamodb"), "TransactWriteItems"),
        pytest.raises(Exception, match=r"."),
    ):
        shells.end(SHELL, "over")
    assert orgs.workers("acme") == 1
    assert shells.find("abc", "s1") == SHELL


@pytest.mark.parametrize("act", ["open", "end", "meter", "delivery", "deletion"])
def test_concurrent_transaction_is_not_a_rejection(clients: Clients, act: str) -> None:
    """An org's items count what all its pipelines have and use; their writers meet often."""
    table = DynamoTable(clients, TABLE)
    orgs = TableOrgs(table, lambda: NOW)
    shells = TableShells(table, orgs, lambda: NOW)
    deliveries = TableDeliveries(table, lambda: NOW)
    event = GitEvent(kind=GitEventKind.PUSH, url="https://x/a", repository="a", branch="main")
    delivery = Delivery(id="01-a", time=NOW, event=event)
    write = {
        "open": lambda: shells.open(SHELL),
        "end": lambda: shells.end(SHELL, "over"),
        "meter": lambda: orgs.add_usage("acme", "2026-11", "abc /a 1", 1.0, 1.0),
        "delivery": lambda: deliveries.add("acme", "app", delivery, "d-1"),
        "deletion": lambda: JournalStore(table, S3Bucket(clients, BUCKET), orgs).forget("abc"),
    }[act]
    # The reads before the write get their usual response.
    table.put(table_keys.org("acme"), {"workers": 1})
    reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
    response = {"Error": {"Code": "TransactionCanceledException"}, **reasons}

    def conflict(**_: object) -> None:
        raise ClientError(response, "TransactWriteItems")

    clients.get("dynamodb").meta.events.register(
        "before-parameter-build.dynamodb.TransactWriteItems", conflict
    )
    with pytest.raises(ThrottledError, match="TransactionConflict"):
        write()


def test_a_conflict_with_another_transaction_is_tried_again(clients: Clients) -> None:
    """As DynamoDB's documentation demands of callers."""
    deliveries = TableDeliveries(DynamoTable(clients, TABLE), lambda: NOW)
    event = GitEvent(kind=GitEventKind.PUSH, url="https://x/a", repository="a", branch="main")
    delivery = Delivery(id="01-a", time=NOW, event=event)
    left = [1, 1]

    def conflict(**_: object) -> None:
        if left:
            left.pop()
            reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
            response = {"Error": {"Code": "TransactionCanceledException"}, **reasons}
            raise ClientError(response, "TransactWriteItems")

    clients.get("dynamodb").meta.events.register(
        "before-parameter-build.dynamodb.TransactWriteItems", conflict
    )
    assert deliveries.add("acme", "app", delivery, "d-1")
    assert not deliveries.add("acme", "app", delivery, "d-1")
    assert left == []
