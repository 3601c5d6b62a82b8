"""The runner of schedules, with pipelines in memory and deaths of the process at any write."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.schedules import MemorySchedules, PipelinesTarget

from conducto.errors import DefinitionError
from conducto_core.errors import PlanFullError, RefusedError
from conducto_core.partitions.model import PartitionState
from conducto_core.programs.model import ProgramCall
from conducto_core.run.model.records import PipelineRecord, PipelineStatus
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import State
from conducto_core.schedules.handlers import ScheduleOperations
from conducto_core.schedules.model import (
    CatchUp,
    Chain,
    Firing,
    FiringState,
    GitSource,
    Overlap,
    Schedule,
    ScheduleParams,
    ScheduleSettings,
    ScriptSource,
    TemplateSource,
)
from conducto_core.schedules.rules import schedules as rules
from conducto_core.schedules.rules.partitions import check_settings
from conducto_core.schedules.runner import ScheduleRunner, packed

NOON = 1_772_366_400.0  # 2026-03-01 12:00 UTC
HOUR = 3600.0
TEMPLATE = packed(LaunchRequest(tree={"nodes": []}, title="Load"))


class KilledError(BaseException):
    """The process ends, as with SIGKILL: nothing catches it."""


class Target:
    """Pipelines in memory; a launch with a known key is the same pipeline."""

    def __init__(self) -> None:
        self.records: dict[str, PipelineRecord] = {}
        self.keys: dict[str, str] = {}
        self.turns: list[float] = []
        self.cancelled: list[str] = []
        self.paused: list[str] = []
        self.owners = {"ann"}
        self.error: Exception | None = None
        self.requests: list[LaunchRequest] = []
        self.partitions: dict[str, PartitionState] = {}

    async def may_launch(self, _org: str, owner: str) -> bool:
        return owner in self.owners

    async def launch(
        self, _org: str, owner: str, request: LaunchRequest, key: str, since: float
    ) -> str:
        self.turns.append(since)
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        if key not in self.keys:
            self.keys[key] = f"p{len(self.keys) + 1}"
            self.records[self.keys[key]] = PipelineRecord(
                id=self.keys[key],
                title=request.title or "",
                tags=request.tags,
                owner=owner,
                armed=True,
                status=PipelineStatus(state=State.RUNNING, settled=False),
            )
        return self.keys[key]

    async def start_script(
        self, _schedule: Schedule, _source: ScriptSource, key: str, _parts: Mapping[str, Any]
    ) -> str:
        raise RefusedError("its script /gone.py does not exist")

    async def record(self, _org: str, pipeline_id: str) -> PipelineRecord | None:
        return self.records.get(pipeline_id)

    async def partition_states(
        self, _org: str, _owner: str, _record: PipelineRecord
    ) -> Mapping[str, PartitionState]:
        return self.partitions

    async def cancel(self, _org: str, _owner: str, pipeline_id: str) -> None:
        self.cancelled.append(pipeline_id)

    async def ended_since(self, _org: str, since: float) -> Iterable[PipelineRecord]:
        return [one for one in self.records.values() if (one.status.ended or 0.0) >= since]

    async def paused_itself(self, _org: str, schedule: Schedule) -> None:
        self.paused.append(schedule.name)

    def end(self, pipeline_id: str, time: float, state: State = State.DONE) -> None:
        status = PipelineStatus(state=state, settled=True, ended=time)
        known = self.records[pipeline_id]
        self.records[pipeline_id] = known.model_copy(update={"status": status})


class World:
    """A runner with its target, its store and its clock."""

    def __init__(self, **fields: Any) -> None:
        self.now = NOON - 60
        self.target = Target()
        self.store = MemorySchedules()
        self.runner = ScheduleRunner(self.store, self.target, lambda: self.now)
        self.add("hourly", **{"cron": "0 * * * *", **fields})

    def add(self, name: str, **fields: Any) -> None:
        given = {
            "what": TemplateSource(kind="template", pipeline="abc-def"),
            "owner": "ann",
            **fields,
        }
        schedule = rules.started(Schedule(name=name, **given), self.now)
        assert self.store.create("", schedule, TEMPLATE)

    def at(self, time: float) -> None:
        self.now = time
        asyncio.run(self.runner.run())

    def found(self, name: str = "hourly") -> list[tuple[str, str | None]]:
        return [(one.state.value, one.pipeline) for one in self.store.firings("", name)][::-1]

    def schedule(self, name: str = "hourly") -> Schedule:
        found = self.store.get("", name)
        assert found is not None
        return found


def test_each_due_time_launches_the_template_with_its_tag() -> None:
    world = World(overlap=Overlap.ALLOW, title="Nightly")
    world.at(NOON)
    world.at(NOON + 1)
    world.at(NOON + HOUR)

    assert world.found() == [("launched", "p1"), ("launched", "p2")]
    record = world.target.records["p1"]
    assert (record.title, record.tags) == ("Nightly", ("conducto/schedule/hourly",))


def test_firing_is_skipped_while_the_last_pipeline_runs() -> None:
    world = World()
    world.at(NOON)
    world.at(NOON + HOUR)
    world.target.end("p1", NOON + HOUR + 5)
    world.at(NOON + 2 * HOUR)

    assert world.found() == [("launched", "p1"), ("skipped", None), ("launched", "p2")]
    skipped = world.store.firings("", "hourly")[1]
    assert skipped.why == "pipeline p1 of 2026-03-01 12:00 UTC was still running"
    assert world.schedule().open == (world.store.firings("", "hourly")[0].id,)


def test_queue_holds_one_firing_that_starts_at_the_end() -> None:
    world = World(overlap=Overlap.QUEUE)
    for hour in range(3):
        world.at(NOON + hour * HOUR)
    assert world.found() == [("launched", "p1"), ("queued", None), ("skipped", None)]

    world.target.end("p1", world.now)
    world.at(NOON + 2 * HOUR + 60)

    assert world.found() == [("launched", "p1"), ("launched", "p2"), ("skipped", None)]


def test_replace_cancels_the_last_pipeline_without_counting_it_as_a_failure() -> None:
    world = World(overlap=Overlap.REPLACE, pause_after=1)
    world.at(NOON)
    world.at(NOON + HOUR)
    world.target.end("p1", world.now, State.KILLED)
    world.at(NOON + HOUR + 60)

    assert world.target.cancelled == ["p1"]
    assert world.found() == [("launched", "p1"), ("launched", "p2")]
    assert not world.schedule().paused


def test_schedule_pauses_after_failed_pipelines() -> None:
    world = World(pause_after=2)
    for hour in range(4):
        world.at(NOON + hour * HOUR)
        if f"p{hour + 1}" in world.target.records:
            world.target.end(f"p{hour + 1}", world.now, State.ERROR)
            world.at(world.now + 60)

    assert world.found() == [("launched", "p1"), ("launched", "p2")]
    assert world.schedule().paused_why == (
        "2 firings in a row failed; the last one launched pipeline p2"
    )
    assert world.target.paused == ["hourly"]


def test_exhausted_plan_and_missing_script_are_failures_with_their_reason() -> None:
    world = World()
    world.target.error = RefusedError("the plan 'free' allows 10 hours")
    world.at(NOON)
    world.add(
        "script", cron="0 * * * *", what=ScriptSource(kind="script", command=("x",), directory="/")
    )
    world.at(NOON + HOUR)

    assert [one.why for one in world.store.firings("", "hourly")] == [
        "the plan 'free' allows 10 hours"
    ] * 2
    assert "does not exist" in str(world.store.firings("", "script")[0].why)
    assert world.schedule().open == ()


def test_schedule_without_its_owner_pauses_itself() -> None:
    world = World()
    world.target.owners.clear()
    world.at(NOON)
    world.at(NOON + HOUR)

    assert world.found() == [("failed", None)]
    assert "its owner ann may not launch pipelines" in str(world.schedule().paused_why)
    assert world.target.paused == ["hourly"]


def test_launch_is_repeated_after_a_passing_failure_and_given_up_later() -> None:
    world = World()
    world.target.error = OSError("no engine")
    world.at(NOON)
    assert world.found() == [("pending", None)]
    world.target.error = None
    world.at(NOON + 60)
    assert world.found() == [("launched", "p1")]

    world.target.end("p1", world.now)
    world.target.error = OSError("no engine")
    world.at(NOON + HOUR)
    world.at(NOON + HOUR + rules.RETRY_SECONDS)
    assert world.found()[1] == ("failed", None)


def test_launch_waits_for_room_in_the_plan_and_keeps_its_turn() -> None:
    world = World(window=2 * HOUR)
    world.target.error = PlanFullError("2 of 2 pipelines run")
    for now in (NOON, NOON + 60, NOON + 3000):
        world.at(now)
    (queued,) = world.store.firings("", "hourly")
    assert (queued.state, queued.pipeline) == (FiringState.QUEUED, None)

    world.target.error = None
    world.at(NOON + 3060)

    assert world.found() == [("launched", "p1")]
    assert world.target.turns == [NOON] * 4


def test_deleted_and_paused_pipelines_block_nothing() -> None:
    world = World(pause_after=1)
    world.at(NOON)
    del world.target.records["p1"]
    world.at(NOON + HOUR)
    paused = {"armed": False, "status": PipelineStatus(state=State.PENDING, settled=True)}
    world.target.records["p2"] = world.target.records["p2"].model_copy(update=paused)
    world.at(NOON + 2 * HOUR)

    assert world.found() == [("launched", "p1"), ("launched", "p2"), ("launched", "p3")]


def test_chain_fires_once_for_each_end_of_a_pipeline() -> None:
    world = World()
    world.add("report", after=Chain(title="Load"))
    world.at(NOON)
    world.target.end("p1", NOON + 10)
    world.at(NOON + 20)
    world.at(NOON + 30)
    world.target.end("p1", NOON + 40)  # it was rerun
    world.target.end("p2", NOON + 41)
    world.at(NOON + 50)

    followed = [(one.after, one.pipeline, one.depth) for one in world.store.firings("", "report")]
    assert ("p1", "p2", 1) in followed
    # The pipelines of the chain have the same title, so that it follows itself, too.
    assert sorted(followed)[:2] == [("p1", "p2", 1), ("p1", "p3", 1)]


class CountingSchedules(MemorySchedules):
    """Counts the reads of pages of firings, which the depth of a chain needs."""

    pages = 0

    def firings(self, *arguments: Any, **options: Any) -> Any:
        self.pages += 1
        return super().firings(*arguments, **options)


def test_chain_that_fired_is_not_followed_again() -> None:
    world = World()
    store = CountingSchedules()
    world.runner = ScheduleRunner(store, world.target, world.runner.clock)
    world.store = store
    world.add("hourly", cron="0 * * * *", title="Extract")
    world.add("report", after=Chain(title="Extract"))
    world.at(NOON)
    world.target.end("p1", NOON + 10)
    world.at(NOON + 20)
    first, store.pages = store.pages, 0
    world.at(NOON + 30)

    assert (first > 0, store.pages) == (True, 0)


@pytest.mark.parametrize("overlap", [Overlap.ALLOW, Overlap.QUEUE])
def test_firing_that_waited_for_long_is_retried_from_its_first_failure(overlap: Overlap) -> None:
    world = World(overlap=overlap, window=2 * HOUR)
    if overlap is Overlap.QUEUE:
        world.at(NOON)  # the pipeline for which the firing waits
    world.target.error = PlanFullError("2 of 2 pipelines run")
    world.at(NOON + HOUR)
    later = NOON + HOUR + 2 * rules.RETRY_SECONDS
    if overlap is Overlap.QUEUE:
        world.target.end("p1", later)
    world.target.error = OSError("no engine")
    world.at(later)
    world.at(later + rules.RETRY_SECONDS - 1)
    assert world.found()[-1] == ("queued", None)

    world.target.error = None
    world.at(later + rules.RETRY_SECONDS)
    assert world.found()[-1][0] == "launched"


def test_firing_that_waited_fails_after_the_time_for_retries() -> None:
    world = World(overlap=Overlap.ALLOW, window=2 * HOUR)
    world.target.error = PlanFullError("2 of 2 pipelines run")
    world.at(NOON)
    world.target.error = OSError("no engine")
    for seconds in (0, rules.RETRY_SECONDS):
        world.at(NOON + HOUR / 2 + seconds)

    assert world.found() == [("failed", None)]


def test_full_schedule_misses_the_end_of_a_pipeline_and_refuses_requests() -> None:
    world = World(cron=None, after=Chain(title="Load"))
    waiting = tuple(map(str, range(rules.MAX_OPEN)))
    for number in waiting:
        one = Firing(id=number, due=NOON, cause="manual", state="launched", pipeline="busy")
        world.store.put_firing("", "hourly", one)
    known = world.schedule()
    world.store.change("", known, known.model_copy(update={"open": waiting}))
    for key in ("busy", "ended"):
        request = LaunchRequest(tree={}, title="Load")
        asyncio.run(world.target.launch("", "ann", request, key, NOON))
    world.target.records["busy"] = world.target.records["p1"]
    world.target.end("p2", world.now + 1)
    world.at(NOON)

    (missed,) = [one for one in world.store.firings("", "hourly", limit=2000) if one.after == "p2"]
    assert (missed.state, world.schedule().open) == (FiringState.MISSED, waiting)
    fire = PipelinesTarget(MemoryPipelines())
    operations = ScheduleOperations(world.runner, fire)
    with pytest.raises(RefusedError, match="open firings"):
        asyncio.run(operations.fire_schedule(ScheduleParams(name="hourly")))
    assert world.schedule().open == waiting


def test_circle_of_chains_ends_after_ten_pipelines() -> None:
    world = World(cron=None, after=Chain(title="Load"))
    request = LaunchRequest(tree={}, title="Load")
    asyncio.run(world.target.launch("", "ann", request, "by a user", NOON))
    for step in range(15):
        for one in list(world.target.records.values()):
            if not one.status.settled:
                world.target.end(one.id, world.now + 1)
        world.at(NOON + 60 * step)

    states = [state for state, _ in world.found()]
    assert states == ["launched"] * 10 + ["skipped"]


def test_a_thousand_schedules_due_in_the_same_minute_launch_once_each() -> None:
    world = World()
    for number in range(999):
        world.add(f"s{number}", cron="0 * * * *")
    world.at(NOON)
    world.at(NOON + 30)

    assert len(world.target.records) == 1000
    assert {len(world.found(one.name)) for one in world.store.list_by_name("")} == {1}


class Mortal:
    """A store, or a target, that kills the process before or after one of its writes."""

    def __init__(self, inner: object, writes: set[str], deaths: list[int]) -> None:
        self._inner, self._writes, self._deaths = inner, writes, deaths

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self._writes:
            return method
        if asyncio.iscoroutinefunction(method):

            async def mortal_async(*arguments: Any) -> Any:
                self._count()
                result = await method(*arguments)
                self._count()
                return result

            return mortal_async

        def mortal(*arguments: Any) -> Any:
            self._count()
            result = method(*arguments)
            self._count()
            return result

        return mortal

    def _count(self) -> None:
        self._deaths[0] -= 1
        if self._deaths[0] == 0:
            raise KilledError


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.QUEUE, Overlap.ALLOW])
def test_death_at_any_write_leaves_one_pipeline_for_each_due_time(overlap: Overlap) -> None:
    reference: list[tuple[str, str | None]] = []
    for death in range(200):
        world = World(overlap=overlap, catch_up=CatchUp.ALL)
        deaths = [death]  # at the first or a later write; 0: never
        store = Mortal(world.store, {"change", "put_firing"}, deaths)
        target = Mortal(world.target, {"launch"}, deaths)
        for now in (NOON, NOON + 3 * HOUR, NOON + 3 * HOUR + 60):
            world.runner = ScheduleRunner(store, target, world.runner.clock)
            try:
                world.at(now)
            except KilledError:
                world.at(now)  # the next process
            for one in world.target.records.values():
                if not one.status.settled and now > NOON:
                    world.target.end(one.id, now)
        if not reference:
            reference = world.found()
            assert ("launched", "p1") in reference
        assert world.found() == reference, death
        pipelines = [one for _, one in world.found() if one is not None]
        assert sorted(pipelines) == sorted(set(pipelines)) == sorted(world.target.records)
        if deaths[0] > 0:
            return
    raise AssertionError("the writes do not end")


# ---- partitions ----------------------------------------------------------------------------------

DAY = 24 * HOUR
DAILY = {"kind": "daily", "start": "2026-01-01", "zone": "UTC"}
GIT = GitSource(kind="git", url="https://git.example/acme/app", command="python p.py nightly")


def daily(**fields: Any) -> World:
    """Return a schedule that launches the partition of each day at one o'clock."""
    given = {"cron": "0 1 * * *", "partitions": DAILY, "what": GIT, "overlap": Overlap.ALLOW}
    return World(**{**given, **fields})


def partitions_of(world: World) -> list[str | None]:
    return [one.tree["call"]["partition"] for one in world.target.requests]


def test_firing_launches_the_partition_of_its_due_time() -> None:
    world = daily()
    world.at(NOON + 13 * HOUR)  # 2026-03-02 01:00 UTC

    (request,) = world.target.requests
    assert request.tree["nodes"][1]["command"] == "python p.py nightly --partition=2026-03-01"
    call = ProgramCall.model_validate(request.tree["call"])
    assert (call.partition, call.partitions) == ("2026-03-01", DAILY)
    assert (request.program, call.function) == (GIT.url, "hourly")


def test_caught_up_firings_launch_their_own_partitions() -> None:
    world = daily(catch_up=CatchUp.ALL, window=10 * DAY)
    world.at(NOON + 13 * HOUR + 2 * DAY)

    assert partitions_of(world) == ["2026-03-01", "2026-03-02", "2026-03-03"]


def test_missing_partitions_of_the_window_are_launched_one_after_another() -> None:
    world = daily(catch_up=CatchUp.MISSING, window=3 * DAY)
    world.at(NOON + 13 * HOUR)
    assert partitions_of(world) == ["2026-03-01"]
    for number, partition in enumerate(("2026-02-27", "2026-02-28"), start=1):
        world.target.end(f"p{number}", world.now)
        world.at(world.now + 60)
        assert partitions_of(world)[number:] == [partition]
    world.target.end("p3", world.now)

    world.target.partitions = dict.fromkeys(("2026-02-28", "2026-03-01"), PartitionState.FAILED)
    world.at(NOON + 13 * HOUR + 2 * DAY)
    world.target.end("p4", world.now)
    world.at(world.now + 60)

    assert partitions_of(world)[3:] == ["2026-03-03", "2026-03-02"]


def test_firing_before_the_first_partition_fails_with_the_reason() -> None:
    world = daily(partitions={**DAILY, "start": "2026-03-01"})
    world.add("early", cron="0 13 * * *", partitions={**DAILY, "start": "2026-03-02"}, what=GIT)
    world.at(NOON + HOUR)

    assert world.found("early") == [("failed", None)]
    assert "the first one is 2026-03-02" in str(world.store.firings("", "early")[0].why)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"what": TemplateSource(kind="template", pipeline="a")}, "that of one partition"),
        ({"partitions": {"kind": "static", "names": ["a"]}}, "names and grids have none"),
        ({"partitions": None, "catch_up": CatchUp.MISSING}, "missing is for partitions"),
        ({"cron": None, "after": Chain(title="x")}, "needs a cron expression"),
    ],
)
def test_schedule_that_cannot_launch_partitions_is_refused(
    fields: dict[str, Any], message: str
) -> None:
    given = {"cron": "0 1 * * *", "partitions": DAILY, "what": GIT}

    with pytest.raises(DefinitionError, match=message):
        check_settings(ScheduleSettings(**{**given, **fields}))
