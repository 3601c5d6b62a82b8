"""Spans of cloud pipelines, sent in the background after a run, and the trace of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause
from conducto_core.telemetry.otlp import OtlpSender
from conducto_core.telemetry.rules.spans import attempt_span_id, trace_id
from support.cloud.world import World
from support.collector import Collector, attributes, collector
from support.trees import leaf, serial

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture
def world(receiver: Collector) -> World:
    sender = OtlpSender(receiver.url)
    return World(collector=lambda: sender, web_app=lambda: "https://app.invalid")


def tops(receiver: Collector) -> list[Any]:
    return [span for span in receiver.spans if not span.parent_span_id]


def test_a_run_is_sent_when_it_ends(world: World, receiver: Collector) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    hand = world.running()["/a"]
    assert hand.job is not None
    env = hand.job.env
    assert not receiver.spans
    world.now += 60
    hand.finish()
    world.run_out()

    (top,) = tops(receiver)
    assert attributes(top)["cicd.pipeline.result"] == "success"
    assert attributes(top)["cicd.pipeline.run.url.full"] == f"https://app.invalid/p/{pipeline}"
    attempts = {
        attributes(span)["cicd.pipeline.task.name"]: span
        for span in receiver.spans
        if span.name == "attempt 1"
    }
    assert set(attempts) == {"/a", "/b"}
    assert attributes(attempts["/a"])["conducto.cost"] > 0
    span = attempt_span_id(pipeline, "/a", 1)
    assert attempts["/a"].span_id.hex() == span
    assert env["TRACEPARENT"] == f"00-{trace_id(pipeline)}-{span}-01"


def test_a_rerun_sends_its_own_attempts_only(world: World, receiver: Collector) -> None:
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    world.running()["/a"].finish(Cause.EXIT_CODE)
    world.run_out()
    world.now += 100
    world.control(pipeline, Action.RERUN, "/a")
    world.run_out()

    first, second = tops(receiver)
    assert attributes(first)["cicd.pipeline.result"] == "failure"
    assert attributes(second)["cicd.pipeline.result"] == "success"
    assert second.links[0].span_id == first.span_id
    names = [span.name for span in receiver.spans]
    assert names.count("attempt 1") == 2
    assert names.count("attempt 2") == 1


def test_a_collector_that_fails_ends_nothing_else(receiver: Collector) -> None:
    receiver.status = 400
    sender = OtlpSender(receiver.url)
    world = World(collector=lambda: sender)
    pipeline = world.launch(serial(leaf("a")))
    world.run_out()

    assert world.get(pipeline).state == "done"
    assert receiver.requests == 1


def test_without_a_collector_nothing_runs_in_the_background() -> None:
    events: list[Any] = []
    world = World()
    world.use(invoke_background=events.append)
    world.launch(serial(leaf("a")))

    assert not any(event.effects.ended for event in events if event.effects is not None)
