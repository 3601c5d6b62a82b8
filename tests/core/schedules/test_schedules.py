"""The rules of schedules: due times, catch-up, overlap, jitter, pauses, backfills and chains."""

from datetime import UTC, datetime

import pytest

from conducto.errors import DefinitionError
from conducto_core.errors import RefusedError
from conducto_core.run.model.records import PipelineRecord, PipelineStatus
from conducto_core.run.model.states import State
from conducto_core.schedules.model import (
    MAX_AT_ONCE,
    Backfill,
    CatchUp,
    Chain,
    Firing,
    FiringCause,
    FiringState,
    GitSource,
    Overlap,
    Schedule,
    ScheduleSettings,
    ScriptSource,
    TemplateSource,
)
from conducto_core.schedules.rules import schedules as rules
from conducto_core.tree.rules.resolve import resolve

WHAT = TemplateSource(kind="template", pipeline="abc-def")
HOUR = 3600.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOON = at("2026-03-01 12:00")


def schedule(**fields: object) -> Schedule:
    given = {"name": "hourly", "cron": "0 * * * *", "what": WHAT, **fields}
    return rules.started(Schedule(**given), NOON - 60)


def firing(due: float = NOON, **fields: object) -> Firing:
    given = {"cause": FiringCause.SCHEDULE, "at": due, **fields}
    return Firing(id=rules.firing_id(due), due=due, **given)


def launched(pipeline: str = "aaa-aaa", **fields: object) -> Firing:
    return firing(state=FiringState.LAUNCHED, pipeline=pipeline, **fields)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"cron": "0 0 30 2 *"}, "cron", "field day of month is not valid"),
        ({"cron": "61 * * * *"}, "cron", "field minute is not valid"),
        ({"cron": "0 0 12 * * *"}, "cron", "has 6 fields, but a cron expression has five"),
        ({"cron": "0 2"}, "cron", "has 2 fields"),
        ({"cron": "0 0 * * FUN"}, "cron", "field day of week is not valid"),
        ({"cron": "0 0 * * *", "zone": "Europe/Atlantis"}, "zone", "no time zone"),
        ({"cron": "0 0 * * *", "zone": "../../etc/passwd"}, "zone", "no time zone"),
        ({"cron": "0 0 * * *", "zone": "America"}, "zone", "no time zone"),
        ({"cron": None}, "cron", "either a cron expression or 'after'"),
        ({"after": Chain(title="Load"), "cron": "* * * * *"}, "cron", "either a cron expression"),
        ({"after": Chain(state="any"), "cron": None}, "after", "needs the title or the program"),
        ({"after": Chain(program="./load.py"), "cron": None}, "after", "must be an absolute path"),
        ({"after": Chain(title="mine*"), "cron": None}, "after", "a whole title, not a pattern"),
        ({"cron": "0 0 * * *", "until": NOON - 1}, "until", "has passed"),
        (
            {"what": ScriptSource(kind="script", pipeline="a")},
            "what",
            "on the machine of an agent only",
        ),
    ],
)
def test_bad_settings_name_the_field(fields: dict[str, object], field: str, message: str) -> None:
    settings = ScheduleSettings(**{"what": WHAT, "cron": "* * * * *", **fields})
    with pytest.raises(DefinitionError, match=message) as error:
        rules.checked(settings, NOON, local=False)
    assert error.value.path == field


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (ScriptSource(kind="script"), "needs a command"),
        (
            ScriptSource(kind="script", command=("x",), directory="here"),
            "must be an absolute path, got 'here'",
        ),
    ],
)
def test_bad_script_is_rejected(source: ScriptSource, message: str) -> None:
    settings = ScheduleSettings(what=source, cron="* * * * *")
    with pytest.raises(DefinitionError, match=message):
        rules.checked(settings, NOON, local=True)


def test_program_of_a_repository_is_relative_in_the_cloud_only() -> None:
    chain = Chain(program="acme/app/load.py")
    settings = ScheduleSettings(what=WHAT, after=chain)

    assert rules.checked(settings, NOON, local=False).after == chain
    with pytest.raises(DefinitionError, match="must be an absolute path or the name of a file"):
        rules.checked(settings, NOON, local=True)


def test_expression_gets_its_normal_form() -> None:
    daily = rules.checked(ScheduleSettings(what=WHAT, cron=" @Daily "), NOON, local=False)
    assert daily.cron == "0 0 * * *"


def test_time_that_is_due_fires_once() -> None:
    early = rules.due(schedule(), NOON - 1)
    due = rules.due(schedule(), NOON + 20)

    assert early.firings == ()
    assert [one.due for one in due.firings] == [NOON]
    assert due.schedule.open == (due.firings[0].id,)
    assert due.schedule.next == NOON + HOUR
    assert rules.due(due.schedule, NOON + 20).firings == ()


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp.NONE, [("missed", 12, 15)]),
        (CatchUp.LAST, [("missed", 12, 14), ("pending", 15, None)]),
        (CatchUp.ALL, [("pending", hour, None) for hour in (12, 13, 14, 15)]),
    ],
)
def test_missed_times_are_caught_up(
    catch_up: CatchUp, expected: list[tuple[str, int, int | None]]
) -> None:
    due = rules.due(schedule(catch_up=catch_up), at("2026-03-01 15:30"))

    def hour(time: float | None) -> int | None:
        return None if time is None else datetime.fromtimestamp(time, UTC).hour

    assert [(one.state, hour(one.due), hour(one.until)) for one in due.firings] == expected
    assert due.schedule.next == at("2026-03-01 16:00")
    assert len(due.schedule.open) == sum(state == "pending" for state, *_ in expected)


def test_last_missed_time_is_not_caught_up_beside_a_current_one() -> None:
    due = rules.due(schedule(), at("2026-03-01 15:00"))

    assert [one.state for one in due.firings] == ["missed", "pending"]
    assert [one.due for one in due.firings] == [NOON, at("2026-03-01 15:00")]


def test_times_outside_of_the_window_are_missed() -> None:
    due = rules.due(schedule(catch_up=CatchUp.ALL, window=2 * HOUR), at("2026-03-01 23:30"))

    caught = [at("2026-03-01 22:00"), at("2026-03-01 23:00")]
    assert [one.due for one in due.firings] == [NOON, *caught]
    assert due.firings[0].until == at("2026-03-01 21:00")


def test_a_year_of_missed_minutes_is_one_firing_and_at_most_a_hundred_launches() -> None:
    every_minute = schedule(cron="* * * * *", catch_up=CatchUp.ALL)

    due = rules.due(every_minute, NOON + 365 * 86_400)

    assert len(due.firings) == MAX_AT_ONCE + 3  # the missed ones, and the two current minutes
    assert due.firings[0].state is FiringState.MISSED
    assert len({one.id for one in due.firings}) == len(due.firings)


def test_firings_above_the_maximum_of_open_ones_are_missed_or_refused() -> None:
    full = schedule().model_copy(update={"open": tuple(map(str, range(rules.MAX_OPEN)))})
    due = rules.due(full, NOON + 1)

    assert [(one.state, one.until) for one in due.firings] == [(FiringState.MISSED, NOON)]
    assert "1000 firings of the schedule were open" in str(due.firings[0].why)
    assert (due.schedule.open, due.schedule.next) == (full.open, NOON + HOUR)
    with pytest.raises(RefusedError, match="hourly has 1000 open firings"):
        rules.check_open(full, 1)


@pytest.mark.parametrize("ahead", [30.0, HOUR, 5 * HOUR, 400 * 86_400.0])
@pytest.mark.parametrize("fields", [{}, {"until": NOON + 86_400}, {"jitter": 600.0}])
def test_clock_that_was_ahead_delays_no_time(ahead: float, fields: dict[str, object]) -> None:
    planned = schedule(**fields)
    wrong = rules.due(planned, NOON - 60 + ahead).schedule
    right = rules.due(wrong, NOON - 50)

    assert (right.schedule.next, right.firings) == (NOON, ())
    assert rules.due(right.schedule, NOON - 40).schedule is right.schedule
    after = rules.due(right.schedule, NOON + 1000)
    assert [one.due for one in after.firings if one.state is FiringState.PENDING] == [NOON]
    assert after.schedule.next == NOON + HOUR


def test_chain_that_was_made_by_a_clock_ahead_fires() -> None:
    chain = rules.started(schedule(cron=None, after=Chain(title="Load")), NOON + 400 * 86_400)

    assert rules.due(chain, NOON).schedule.since == NOON


def test_no_time_is_due_after_the_end_or_while_paused() -> None:
    ended = schedule(until=NOON + HOUR)
    due = rules.due(ended, NOON + 5 * HOUR)

    assert due.schedule.next is None
    assert max(one.until or one.due for one in due.firings) <= NOON + HOUR
    assert rules.due(schedule(paused=True), NOON + HOUR).firings == ()
    assert rules.shown_times(ended, NOON) == (NOON + HOUR,)


def test_jitter_delays_each_time_by_its_own_constant_amount() -> None:
    nightly = schedule(jitter=1800.0)
    delays = {rules.delay_of(nightly, NOON + hour * HOUR) for hour in range(50)}
    delay = rules.delay_of(nightly, NOON)

    assert len(delays) == 50
    assert max(delays) < 1800.0
    assert rules.wakes(nightly) == NOON + delay
    assert rules.due(nightly, NOON + delay - 1).firings == ()
    assert [one.due for one in rules.due(nightly, NOON + delay).firings] == [NOON]


def test_every_minute_with_jitter_fires_each_minute_once() -> None:
    current, found = schedule(cron="* * * * *", jitter=90.0), []
    for second in range(0, 1800, 7):
        due = rules.due(current, NOON + second)
        current = due.schedule
        found += [one.due for one in due.firings]

    assert found == [NOON + 60 * minute for minute in range(len(found))]
    assert len(found) >= 27


@pytest.mark.parametrize(
    ("overlap", "running", "waiting", "step"),
    [
        (Overlap.SKIP, 0, 0, rules.FiringStep.LAUNCH),
        (Overlap.SKIP, 1, 0, rules.FiringStep.SKIP),
        (Overlap.QUEUE, 0, 0, rules.FiringStep.LAUNCH),
        (Overlap.QUEUE, 1, 0, rules.FiringStep.WAIT),
        (Overlap.QUEUE, 1, 1, rules.FiringStep.SKIP),
        (Overlap.REPLACE, 1, 0, rules.FiringStep.REPLACE),
        (Overlap.REPLACE, 0, 0, rules.FiringStep.LAUNCH),
        (Overlap.ALLOW, 1, 0, rules.FiringStep.LAUNCH),
    ],
)
def test_overlap(overlap: Overlap, running: int, waiting: int, step: rules.FiringStep) -> None:
    others = [firing()] * waiting
    found = rules.step_of(schedule(overlap=overlap), firing(), [launched()] * running, others)
    assert found is step


def test_backfill_in_a_queue_waits_for_all_in_front_of_it() -> None:
    third = firing(cause=FiringCause.BACKFILL, overlap=Overlap.QUEUE)
    assert rules.step_of(schedule(), third, [launched()], [firing()]) is rules.FiringStep.WAIT


def test_schedule_pauses_after_failures_in_a_row() -> None:
    failed = firing(state=FiringState.FAILED, why="no plan")
    error = launched("bbb-bbb", outcome=State.ERROR)
    replaced = launched(outcome=State.KILLED, why="replaced")
    done = launched(outcome=State.DONE)
    careful = schedule(pause_after=2)

    assert rules.pause_reason(careful, [failed, done, error]) is None
    assert rules.pause_reason(careful, [replaced, error, firing()]) is None
    assert rules.pause_reason(schedule(), [failed, error]) is None
    assert rules.pause_reason(careful, [error, replaced, failed]) == (
        "2 firings in a row failed; the last one launched pipeline bbb-bbb"
    )
    before = failed.model_copy(update={"at": NOON - HOUR})
    assert rules.pause_reason(careful, [error, before]) is None


def test_backfill_has_a_firing_for_each_time() -> None:
    day = Backfill(start=at("2026-02-01"), end=at("2026-02-01 03:00"))

    found = rules.backfill(schedule(), day, NOON)

    assert [one.due for one in found] == [day.start + hour * HOUR for hour in range(4)]
    assert {one.overlap for one in found} == {Overlap.ALLOW}
    assert found[0].id != rules.firing_id(day.start)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("2026-02-02", "2026-02-01", "after the end"),
        ("2026-02-01 00:10", "2026-02-01 00:20", "no time in this range"),
        ("2026-02-01", "2026-02-20", "more than 100 times; the last one that fits is"),
        ("2026-02-01", "2026-04-01", "in the future"),
    ],
)
def test_bad_backfill_is_rejected(start: str, end: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        rules.backfill(schedule(), Backfill(start=at(start), end=at(end)), NOON)


def record(**fields: object) -> PipelineRecord:
    status = PipelineStatus(state=State.DONE, settled=True, ended=NOON)
    given = {"title": "Load", "program": "/home/me/load.py", "status": status, **fields}
    return PipelineRecord(id="abc-def", **given)


def status(state: State, **fields: object) -> PipelineStatus:
    return PipelineStatus(**{"state": state, "settled": True, "ended": NOON, **fields})


@pytest.mark.parametrize(
    ("after", "fields", "fires"),
    [
        (Chain(title="Load"), {}, True),
        (Chain(title="Other"), {}, False),
        (Chain(program="load.py"), {}, True),
        (Chain(program="/home/me/load.py"), {}, True),
        (Chain(program="load.py"), {"program": None}, False),
        (Chain(title="Load"), {"status": status(State.ERROR)}, False),
        (Chain(title="Load", state="failed"), {"status": status(State.KILLED)}, True),
        (Chain(title="Load", state="any"), {"status": status(State.ERROR)}, True),
        (Chain(title="Load", state="any"), {"status": status(State.PENDING)}, False),
        (Chain(title="Load"), {"status": status(State.DONE, settled=False)}, False),
        (Chain(title="Load"), {"status": status(State.DONE, ended=NOON - HOUR)}, False),
    ],
)
def test_chain_fires_after_matching_pipelines(
    after: Chain, fields: dict[str, object], fires: bool
) -> None:
    chain = rules.started(Schedule(name="next", after=after, what=WHAT), NOON - 60)
    assert rules.fires_after(chain, record(**fields)) is fires


def test_circle_of_chains_ends() -> None:
    last, over = rules.chained(record(), 9, NOON), rules.chained(record(), 10, NOON)

    assert (last.state, last.depth, last.after) == (FiringState.PENDING, 10, "abc-def")
    assert over.state is FiringState.SKIPPED
    assert "form a circle" in str(over.why)


def test_repository_becomes_a_lazy_whose_command_prints_the_tree() -> None:
    source = GitSource(
        kind="git", url="https://example.com/a.git", ref="dev", command="python pipeline.py"
    )

    pipeline = resolve(rules.git_form(source))

    image = pipeline.images["repository"]
    assert (image.copy_url, image.copy_branch) == (source.url, "dev")
    assert list(pipeline.nodes) == ["/", "/Generate", "/Execute"]


@pytest.mark.parametrize(
    ("url", "is_accepted"),
    [
        ("https://example.com/a.git", True),
        ("git@example.com:a.git", True),
        ("ssh://git@example.com/a.git", True),
        ("https://ann:secret@example.com/a.git", False),
        ("https://token@example.com/a.git", False),
        ("ssh://git:secret@example.com/a.git", False),
        ("https://[example.com/a.git", False),
        ("/srv/a.git", True),
        ("notaurl", False),
    ],
)
def test_address_of_a_repository_has_a_place_and_no_password(url: str, is_accepted: bool) -> None:
    source = GitSource(kind="git", url=url, command="python pipeline.py")
    settings = ScheduleSettings(cron="@daily", what=source)
    if is_accepted:
        assert rules.checked(settings, 0.0, local=False).what == source
        return
    with pytest.raises(DefinitionError, match="address of the repository") as caught:
        rules.checked(settings, 0.0, local=False)
    assert "secret@" not in str(caught.value)
