"""Launches of triggers and schedules wait for room in the plan, in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.functions.triggers.test_triggers import Site

from chalicelib.run.launch_queue import PLACE_SECONDS
from chalicelib.schedules.handlers import serve_schedules
from chalicelib.services import Services
from conducto_core.billing.rules import BillingPlan
from conducto_core.run.model.requests import Action
from conducto_core.schedules.model import Firing, FiringState, NewSchedule, ScheduleParams
from conducto_core.triggers import model as t
from conducto_core.triggers.model import DeliveryResult as Result
from support.cloud.world import ME
from support.git_provider import GitHost, git_host
from support.trees import leaf
from support.webhooks import SHA, github_pull_request

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOW = "[push]\ncommand = x\nduplicate = ALLOW\n[pr]\ncommand = x\nduplicate = ALLOW\n"
HOURLY = ScheduleParams(name="hourly")
FULL = "the plan 'free' allows 1 active pipelines, 1 are active"


class Queue(Site):
    """An installation whose plan has room for one pipeline, which runs."""

    def __init__(self, host: GitHost) -> None:
        super().__init__(host)
        host.files["acme/app", SHA, t.CONFIG_FILE] = ALLOW
        self.world.orgs.set_plan(ME.org, BillingPlan(max_pipelines=1))
        self.world.now = 1_772_366_400.0  # 12:00 UTC on 2026-03-01
        self.first = self.world.launch(leaf())

    def minute(self) -> None:
        """Do the steps of a minute, in a new process."""
        self.world.now += 60
        self.world.services = Services(self.world.cloud)
        serve_schedules(self.world.services.schedule_runner(), self.world.cloud.timing.clock)
        self.world.services.trigger_run.run()

    def end(self, pipeline: str | None) -> None:
        self.world.control(str(pipeline), Action.CANCEL)

    def schedule(self) -> None:
        operations = self.world.services.schedules(ME)
        what = {"kind": "template", "pipeline": self.first}
        about = {"name": "hourly", "cron": "30 * * * *", "what": what, "window": 7200}
        asyncio.run(operations.create_schedule(NewSchedule.model_validate(about)))

    def firing(self) -> Firing:
        return self.world.schedules.firings(ME.org, "hourly")[0]


@pytest.fixture
def site() -> Iterator[Queue]:
    with git_host() as host:
        yield Queue(host)


def test_webhooks_at_a_full_plan_wait_in_order_and_survive_restarts(site: Queue) -> None:
    second, third = site.pushed(), site.pushed()
    assert [each.result for each in (second, third)] == [Result.QUEUED, Result.QUEUED]
    assert FULL in str(second.reason)
    assert "2026-03-02 12:00 UTC at the latest" in str(second.reason)
    assert "before it in the queue: 1" in str(third.reason)
    site.host.down = True  # a delivery that waits makes no request to it
    site.minute()
    assert [each.result for each in site.deliveries()] == [Result.QUEUED] * 2

    site.host.down = False
    site.end(site.first)
    late = site.pushed()  # it arrives when there is room, and does not overtake
    assert late.result is Result.QUEUED
    for number in range(3):
        site.minute()
        results = [each.result for each in reversed(site.deliveries())]
        assert results == [Result.LAUNCHED] * (number + 1) + [Result.QUEUED] * (2 - number)
        site.end(list(reversed(site.deliveries()))[number].pipeline)

    assert site.world.cloud.records.queue.list_by_name(ME.org) == []


def test_webhook_that_waited_for_its_window_fails_with_the_reason(site: Queue) -> None:
    site.add(window=3600)
    site.pushed()

    site.world.now += 3600
    site.minute()

    (delivery,) = site.deliveries()
    assert delivery.result is Result.FAILED
    assert "given up after its wait for room in the plan" in str(delivery.reason)
    ((_, _, status),) = site.host.statuses
    assert "given up" in status["description"]


def test_firing_waits_shows_why_and_launches_when_there_is_room(site: Queue) -> None:
    site.schedule()
    site.world.now += 1800
    site.minute()
    site.minute()

    waiting = site.firing()
    assert waiting.state is FiringState.QUEUED
    assert FULL in str(waiting.why)
    assert "14:31 UTC at the latest" in str(waiting.why)
    site.end(site.first)
    site.minute()

    launched = site.firing()
    assert (launched.state, launched.why) == (FiringState.LAUNCHED, None)


def test_firing_that_waited_for_its_window_fails(site: Queue) -> None:
    site.schedule()
    site.world.now += 1800
    site.minute()

    for _ in range(2):
        site.world.now += 3600
        site.minute()

    firings = site.world.schedules.firings(ME.org, "hourly")
    assert firings[-1].state is FiringState.FAILED
    assert "given up after its wait" in str(firings[-1].why)


def test_schedules_and_triggers_have_one_queue(site: Queue) -> None:
    delivery = site.pushed()
    site.schedule()
    for _ in range(31):
        site.minute()
    assert "before it in the queue: 1" in str(site.firing().why)

    site.end(site.first)
    site.minute()
    assert site.firing().state is FiringState.QUEUED
    assert site.deliveries()[0].result is Result.LAUNCHED

    site.end(site.deliveries()[0].pipeline)
    site.minute()
    assert site.firing().state is FiringState.LAUNCHED
    assert delivery.id == site.deliveries()[0].id


def test_place_of_a_deleted_schedule_delays_others_for_minutes_only(site: Queue) -> None:
    site.schedule()
    site.world.now += 1800
    site.minute()
    assert site.firing().state is FiringState.QUEUED
    asyncio.run(site.world.services.schedules(ME).delete_schedule(HOURLY))
    site.end(site.first)

    assert site.pushed().result is Result.QUEUED
    site.world.now += PLACE_SECONDS
    site.minute()

    assert site.deliveries()[0].result is Result.LAUNCHED


def test_approved_fork_keeps_its_approval_in_the_queue(site: Queue) -> None:
    site.add(forks="approve")
    site.send("pull_request", github_pull_request(fork=True))
    delivery = site.process()
    site.world.now += 3 * 86_400  # longer than the window
    params = t.DeliveryParams(name="app", delivery=delivery.id)
    organisation = site.world.services.triggers(ME)
    assert asyncio.run(organisation.approve_delivery(params)).result is Result.QUEUED

    site.minute()
    assert site.deliveries()[0].result is Result.QUEUED
    site.end(site.first)
    site.minute()

    found = site.deliveries()[0]
    assert (found.result, found.approved_by) == (Result.LAUNCHED, ME.user)


def test_webhook_waits_for_minutes_of_the_plan(site: Queue) -> None:
    site.end(site.first)
    site.world.orgs.set_plan(ME.org, BillingPlan(max_pipelines=1, exec_minutes=10.0))
    site.world.orgs.add_usage(ME.org, "2026-03", "before", 601, 1)

    assert "worker minutes per month" in str(site.pushed().reason)
    site.world.orgs.set_plan(ME.org, BillingPlan(max_pipelines=1, exec_minutes=20.0))
    site.minute()

    assert site.deliveries()[0].result is Result.LAUNCHED
