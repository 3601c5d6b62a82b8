"""Each kind of wait has a sentence, a holder and a remedy, the same on both targets."""

from dataclasses import replace
from typing import get_args

import pytest

from conducto_core.billing.rules import BillingPlan, Remedies
from conducto_core.limits.rules import LimitRequest, LimitTable
from conducto_core.run.model.records import (
    ImageRecord,
    ImageState,
    Lifecycle,
    PipelineRecord,
    Wait,
    WaitKind,
)
from conducto_core.run.rules import waits
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NamedLimit
from conducto_core.workers.rules.pools import Claimant
from support.trees import approve, pipeline, serial

RECORD = PipelineRecord(id="abc-def", title="demo", armed=True)
IMAGE = ImageRecord(name="my tools", state=ImageState.BUILDING)


def test_each_kind_has_a_sentence() -> None:
    tree = TreeState(pipeline(serial(approve("ask"), "a")), armed=True)
    later = RECORD.model_copy(update={"armed": False, "run_at": 0.0})
    shared = {"abc-def": Claimant(wanted=1), "xyz": Claimant(held=2)}
    full = waits.plan_workers(BillingPlan(), 2, "or choose a larger plan")
    retried = tree.exec_at("/a")
    tree.set_retry(retried, 100.0)
    found = [
        waits.image(RECORD, IMAGE),
        waits.NEXT,
        waits.limit_held("database", "xyz /load"),
        waits.starting("a worker"),
        waits.why_queued(RECORD, tree.nodes["/ask"], 5.0, ()),
        waits.shared_workers(full, shared, "abc-def", 2),
        full,
        waits.spend_limit(10.0, Remedies(billing=True)),
        waits.why_pending(later, tree.nodes, tree.nodes["/a"], 0.0),
        waits.why_pending(RECORD, tree.nodes, retried, 60.0),
        waits.budget(RECORD, "/train", "the budget of $5.00 of /train is used up"),
        waits.no_capacity(
            "Capacity is unavailable", "Fargate on demand, $0.05 an hour", 60.0, 90.0
        ),
        waits.same_command("xyz /load"),
    ]

    assert [each.kind for each in found if each is not None] == list(get_args(WaitKind))
    assert all(each is not None and each.text for each in found)


def test_first_reason_of_a_target_is_used_with_the_time_of_queueing() -> None:
    node = TreeState(pipeline(serial("a")), armed=True).nodes["/a"]
    first, second = waits.full_group("/p", 1), waits.starting("its container")

    assert waits.why_queued(RECORD, node, 5.0, (None, first, second)) == first._replace(since=5.0)
    assert waits.why_queued(RECORD, node, 5.0, ()).text == "next in the queue"


def test_remedies_are_commands_that_a_shell_accepts() -> None:
    tree = TreeState(pipeline(serial(approve("a b", who=["anna"]))), armed=True)
    wait = waits.why_queued(RECORD, tree.nodes["/a b"], 5.0, ())

    assert wait.remedy == "decide it: conducto approve abc-def '/a b'"
    assert waits.image(RECORD, IMAGE).remedy == (
        "read its build: conducto logs abc-def --image 'my tools'"
    )


@pytest.mark.parametrize(
    ("changes", "text", "remedy"),
    [
        ({"armed": False}, "not running", "start it: conducto run abc-def"),
        (
            {"armed": False, "problem": "the disk is full"},
            "paused: the disk is full",
            "start it: conducto run abc-def",
        ),
        (
            {"armed": False, "run_at": 86_400.0},
            "starts at 1970-01-02 00:00 UTC",
            "start it: conducto run abc-def",
        ),
        (
            {"armed": False, "lifecycle": Lifecycle.SLEEPING},
            "sleeping",
            "wake it: conducto wake abc-def",
        ),
        ({}, "waits for /a", None),
    ],
)
def test_pending_node_has_a_reason_and_a_remedy(
    changes: dict[str, object], text: str, remedy: str | None
) -> None:
    tree = TreeState(pipeline(serial("a", "b")), armed=True)
    wait = waits.why_pending(RECORD.model_copy(update=changes), tree.nodes, tree.nodes["/b"], 0.0)

    assert wait is not None
    assert (wait.text, wait.remedy) == (text, remedy)


def test_wait_for_a_named_limit_has_its_holder() -> None:
    table, limit = LimitTable(), (NamedLimit("database", 1, 0),)
    holder = LimitRequest("a", "abc /load", limit, 0.0)
    table.acquire(holder)

    first = table.check(replace(holder, key="b", label="def /load"))
    second = table.check(replace(holder, key="c", label="ghi /load"))

    assert first is not None
    assert second is not None
    assert (first.kind, first.holder) == ("limit", "abc /load")
    assert second.holder == "abc /load"
    table.end("a")
    waiting = table.reason("c")
    assert waiting == Wait(
        "waiting for limit database, after def /load", "limit", None, "def /load"
    )
    assert table.reason("b") is None
