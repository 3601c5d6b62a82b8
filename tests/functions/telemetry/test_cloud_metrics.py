"""Values of an organisation's instruments: text for Prometheus, and the collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chalicelib.people.port import Identity
from chalicelib.people.tokens import new_token
from chalicelib.telemetry.handlers import Metrics
from conducto_core.telemetry.otlp import OtlpSender
from support.cloud.world import ME, World
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
    return World(collector=lambda: sender)


def metrics(world: World) -> Metrics:
    return world.services.metrics(world.services.api(lambda _caller: None))


def caller(world: World, *permissions: str, org: str = ME.org) -> Identity | None:
    _, digest = new_token()
    world.tokens.put(digest, Identity(org, "ann", frozenset(permissions)), expires=None)
    return world.tokens.find(digest)


def families(world: World, org: str = ME.org) -> dict[str, float]:
    response = metrics(world).respond(caller(world, "metrics", org=org))
    assert response.status == 200, response.body
    found = text_string_to_metric_families(response.body.decode())
    return {sample.name: sample.value for family in found for sample in family.samples}


def test_a_token_with_this_permission_reads_the_values_of_its_organisation(world: World) -> None:
    world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    found = families(world)
    # The list of pipelines may be some seconds old.
    assert found["conducto_command_running"] + found["conducto_queue_length"] == 1
    assert "conducto_attempt_total" not in found
    world.now += 30
    world.run_out()

    found = families(world)
    assert found["conducto_attempt_total"] == 2
    assert found["conducto_cost_USD_total"] > 0
    assert found["cicd_pipeline_run_duration_seconds_count"] == 1
    assert "conducto_attempt_total" not in families(world, "other")


def test_others_are_refused(world: World) -> None:
    assert metrics(world).respond(None).status == 401
    assert metrics(world).respond(caller(world, "read", "launch")).status == 403


def test_the_collector_gets_gauges_and_counters_each_minute(
    world: World, receiver: Collector
) -> None:
    world.launch(serial(leaf("a")))
    world.run_out()
    world.launch(serial(leaf("a")))
    world.serve()
    metrics(world).send_all()

    (active,) = receiver.points["cicd.pipeline.run.active"].gauge.data_points
    assert active.as_double == 1
    assert attributes(active) == {"conducto.organisation": "acme"}
    (ended,) = receiver.points["conducto.attempt"].sum.data_points
    assert ended.as_double == 1


def test_without_a_collector_there_are_gauges_only() -> None:
    world = World()
    world.launch(serial(leaf("a")))
    world.run_out()
    metrics(world).send_all()

    assert "conducto_attempt_total" not in families(world)
