"""Schedules in the cloud: the minute rule, members who leave, and exhausted plans."""

import asyncio
from functools import partial

import pytest
from tests.fakes.schedules import MemorySchedules
from tests.functions.people.test_people import ORG, Office

from chalicelib.api.callers import current_user
from chalicelib.people.port import Identity
from chalicelib.schedules.handlers import serve_schedules
from conducto_core.people.model import Role
from conducto_core.people.rules import INHERITED
from conducto_core.schedules import operations as ops
from conducto_core.schedules.model import Schedule
from conducto_core.secrets.model import PutSecrets, SecretValue
from support.cloud.world import World
from support.trees import leaf, serial

HOURLY = {"name": "hourly", "cron": "0 * * * *", "title": "Hourly"}
HOUR = 3600.0


def office(**more: object) -> tuple[Office, str, dict[str, str]]:
    """Return an organisation, a member's token, and the source of a schedule."""
    made = Office(**more)
    made.world.now = 1_772_366_400.0 - 10  # 12:00 UTC on 2026-03-01, but for ten seconds
    ann = made.join("ann")
    pipeline = made.world.launch(serial(leaf("a")), run=False)
    return made, ann, {"kind": "template", "pipeline": pipeline}


def serve(made: Office) -> int:
    """Run the minute rule."""
    return serve_schedules(made.world.services.schedule_runner(), made.world.cloud.timing.clock)


def states(made: Office, token: str) -> list[tuple[str, str | None, str | None]]:
    _, found = made.call(ops.LIST_FIRINGS, token, name="hourly")
    return [(one["state"], one["pipeline"], one["why"]) for one in found["firings"]]


def test_minute_rule_launches_once_with_the_permissions_of_the_owner() -> None:
    made, ann, what = office()
    minute = partial(serve, made)
    status, view = made.call(ops.CREATE_SCHEDULE, ann, {**HOURLY, "what": what})
    assert (status, view["schedule"]["owner"], len(view["times"])) == (200, "ann", 5)

    minute()
    assert states(made, ann) == []
    made.world.now += 20
    minute()
    minute()

    ((state, pipeline, _),) = states(made, ann)
    assert (state, pipeline is not None) == ("launched", True)
    record = made.world.store.record(ORG, pipeline or "")
    assert record is not None
    assert (record.owner, record.title, record.armed) == ("ann", "Hourly", True)
    assert "conducto/schedule/hourly" in record.tags

    made.world.now += HOUR
    minute()
    assert states(made, ann)[0][0] == "skipped"


@pytest.mark.parametrize("until", [None, 1_772_366_400.0 + 7 * 86_400])
def test_clock_that_was_ahead_silences_a_schedule_for_an_hour_at_most(until: float | None) -> None:
    made, ann, what = office()
    minute = partial(serve, made)
    made.call(ops.CREATE_SCHEDULE, ann, {**HOURLY, "what": what, "until": until})
    made.call(ops.PAUSE_SCHEDULE, ann, name="hourly")
    made.world.now += 400 * 86_400
    made.call(ops.RESUME_SCHEDULE, ann, name="hourly")
    made.world.now -= 400 * 86_400

    for _ in range(62):
        made.world.now += 60
        minute()

    assert [state for state, *_ in states(made, ann)] == ["launched"]
    _, view = made.call(ops.GET_SCHEDULE, ann, name="hourly")
    assert view["schedule"]["next"] == 1_772_366_400.0 + 2 * HOUR


def test_schedule_of_a_member_who_left_pauses_until_another_resumes_it() -> None:
    mails: list[tuple[str, str]] = []

    def mail(to: str, subject: str, text: str, _password: str | None) -> bool:
        mails.append((to, f"{subject}: {text}"))
        return True

    made, ann, what = office(mail=mail)
    bob = made.join("bob", Role.ADMIN)
    made.call(ops.CREATE_SCHEDULE, ann, {**HOURLY, "what": what})
    member = made.world.people.member(ORG, "ann")
    assert member is not None
    made.world.people.change(ORG, member, None, None)
    made.world.now += 20

    serve(made)

    assert [state for state, *_ in states(made, bob)] == ["failed"]
    _, view = made.call(ops.GET_SCHEDULE, bob, name="hourly")
    assert "its owner ann may not launch" in view["schedule"]["paused_why"]
    ((to, told),) = mails
    assert to == "bob@acme.example"
    assert "the schedule hourly of acme paused itself: its owner ann may not launch" in told
    _, view = made.call(ops.RESUME_SCHEDULE, bob, name="hourly")
    assert (view["schedule"]["owner"], view["schedule"]["paused"]) == ("bob", False)
    made.world.now += HOUR
    serve(made)
    assert states(made, bob)[0][0] == "launched"


def test_bad_requests_are_rejected_with_the_field() -> None:
    made, ann, what = office()
    create = partial(made.call, ops.CREATE_SCHEDULE, ann)

    for body, field in (
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "0 0 12 * * *"}, "cron"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"what": {"kind": "script", "command": ["x"], "directory": "/"}}, "what"),
    ):
        status, problem = create({**HOURLY, "what": what, **body})
        assert (status, problem["path"]) == (422, field)
    viewer = made.join("eve", Role.VIEWER)
    assert made.call(ops.CREATE_SCHEDULE, viewer, {**HOURLY, "what": what})[0] == 403
    assert create({**HOURLY, "what": {**what, "pipeline": "zzz-zzz"}})[0] == 404


def test_schedules_of_another_organisation_are_not_found() -> None:
    made, ann, what = office()
    made.call(ops.CREATE_SCHEDULE, ann, {**HOURLY, "what": what})
    stranger = made.join("mallory", Role.OWNER, org="other")

    assert made.call(ops.GET_SCHEDULE, stranger, name="hourly")[0] == 404
    assert made.call(ops.FIRE_SCHEDULE, stranger, name="hourly")[0] == 404
    assert made.call(ops.LIST_SCHEDULES, stranger)[1] == {"schedules": []}


class SlowSchedules(MemorySchedules):
    """Reads of a schedule take two minutes after `slow`."""

    world: World
    slow = False

    def get(self, org: str, name: str) -> Schedule | None:
        if self.slow:
            self.world.now += 120
        return super().get(org, name)


def test_run_of_schedules_stops_after_a_minute() -> None:
    schedules = SlowSchedules()
    made, ann, what = office(schedules=schedules)
    schedules.world = made.world
    for number in range(40):
        made.call(ops.CREATE_SCHEDULE, ann, {**HOURLY, "what": what, "name": f"s{number}"})
    made.world.now += 20
    schedules.slow = True

    first = serve(made)
    schedules.slow = False
    second = serve(made)

    assert 1 <= first <= 16
    assert second >= 24


def test_run_reads_the_ended_pipelines_once() -> None:
    made, _, what = office()
    target = made.world.services.schedule_target()
    read = lambda one: len(list(asyncio.run(one.ended_since(ORG, 0.0))))  # noqa: E731
    before = read(target)
    made.world.control(what["pipeline"], "run")
    made.world.run_out()

    assert (before, read(target), read(made.world.services.schedule_target())) == (0, 0, 1)


def test_expired_tokens_give_no_permissions() -> None:
    world = World()
    now = world.now
    world.tokens.put("old", Identity("solo", "bot", INHERITED), expires=now + 10)
    owner = current_user(world.cloud.records, "solo", "bot")
    world.now += 11

    assert owner is not None
    assert current_user(world.cloud.records, "solo", "bot") is None


@pytest.mark.parametrize(("own", "expected"), [(None, 5.0), (2.0, 2.0)])
def test_budget_of_a_schedule_is_that_of_pipelines_without_one(
    own: float | None, expected: float
) -> None:
    made, ann, _ = office()
    pipeline = made.world.launch(serial(leaf("a"), budget=own), run=False)
    what = {"kind": "template", "pipeline": pipeline}
    made.call(ops.CREATE_SCHEDULE, ann, {**HOURLY, "what": what, "budget": 5})

    made.world.now += 20
    serve(made)

    ((_, launched, _),) = states(made, ann)
    with made.world.engine.reading(ORG, str(launched)) as live:
        assert live.pipeline.root.budget == expected


@pytest.mark.parametrize("budget", [0, -1, "NaN", "Infinity"])
def test_invalid_budget_of_a_schedule_is_refused(budget: object) -> None:
    made, ann, what = office()

    status, _ = made.call(ops.CREATE_SCHEDULE, ann, {**HOURLY, "what": what, "budget": budget})

    assert status == 422


def test_secret_set_of_a_schedule_is_that_of_its_pipelines() -> None:
    made, ann, _ = office()
    secret = SecretValue(key="DB", value="the-value", secret_set="prod", scope="org")
    asyncio.run(made.world.pipelines().put_secrets(PutSecrets(secrets=(secret,))))
    pipeline = made.world.launch(serial(leaf("a")), run=False)
    what = {"kind": "template", "pipeline": pipeline}
    made.call(ops.CREATE_SCHEDULE, ann, {**HOURLY, "what": what, "secret_set": "prod"})

    made.world.now += 20
    serve(made)

    ((_, launched, _),) = states(made, ann)
    with made.world.engine.reading(ORG, str(launched)) as live:
        assert live.record.secret_set == "prod"
