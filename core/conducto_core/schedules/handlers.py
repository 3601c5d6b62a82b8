"""The operations on schedules, for one caller."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from conducto_core.api.serve import serves
from conducto_core.errors import NotFoundError, RefusedError, invalid
from conducto_core.events.model import EventRule, NewHook
from conducto_core.events.rules.payloads import git_source
from conducto_core.programs.model import ProgramCall
from conducto_core.programs.rules.programs import call_of
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.schedules import model as s
from conducto_core.schedules import operations as schedules_operations
from conducto_core.schedules.rules import schedules as rules
from conducto_core.schedules.rules.cron import next_times, normal_form
from conducto_core.schedules.rules.partitions import check_settings
from conducto_core.schedules.runner import ScheduleRunner, newest, packed

_TRIES = 10
_R = TypeVar("_R", bound=s.ScheduleSettings)


class ScheduleCaller(Protocol):
    """The caller of operations on schedules.

    Attributes:
        org: The organisation; "" for an agent.
        user: The user, who owns the schedules that are created.
        runs_scripts: Whether schedules may start scripts.
    """

    org: str
    user: str
    runs_scripts: bool

    async def template_launch(self, pipeline_id: str) -> LaunchRequest:
        """Return the launch request of a pipeline; raises `NotFoundError`, `RefusedError`."""

    async def with_script(self, settings: s.ScheduleSettings) -> s.ScheduleSettings:
        """Return settings whose script has its command and directory."""

    def check_source(self, name: str, rule: EventRule) -> EventRule:
        """Return the rule of a trigger with its defaults.

        Raises:
            RefusedError: The caller may not create it.
        """

    def new_hook(self, name: str) -> NewHook:
        """Return the address of a trigger's webhook with a new secret."""

    def connect(self, name: str, rule: EventRule | None, former: EventRule | None = None) -> None:
        """Subscribe a trigger to the events of a rule, instead of those of its former one.

        None ends its subscription, and its hook.
        """

    def changed(self) -> None:
        """Note that a schedule may need attention earlier than before."""


class ScheduleOperations:
    """The schedules of an agent or an organisation, for one caller."""

    def __init__(self, runner: ScheduleRunner, caller: ScheduleCaller) -> None:
        self._runner = runner
        self._store = runner.store
        self._caller = caller

    @serves(schedules_operations.LIST_SCHEDULES)
    async def list_schedules(self) -> s.ScheduleList:
        return await asyncio.to_thread(self._list)

    def _list(self) -> s.ScheduleList:
        known = self._store.list_by_name(self._caller.org)
        return s.ScheduleList(schedules=tuple(map(self._view, known)))

    @serves(schedules_operations.GET_SCHEDULE)
    async def get_schedule(self, params: s.ScheduleParams) -> s.ScheduleView:
        return await asyncio.to_thread(lambda: self._view(self._existing(params.name)))

    @serves(schedules_operations.CREATE_SCHEDULE)
    async def create_schedule(self, request: s.NewSchedule) -> s.ScheduleView:
        org, user = self._caller.org, self._caller.user
        now = self._runner.clock()
        request = await asyncio.to_thread(self._check_source, request.name, request)
        settings, template = await self._checked(request, now)
        rules.check_room(
            len(await asyncio.to_thread(self._store.list_by_name, org)), s.MAX_SCHEDULES
        )
        fields = {**_fields(settings), "owner": user, "created": now, "paused": request.paused}
        schedule = rules.started(s.Schedule(name=request.name, **fields), now)
        if not await asyncio.to_thread(self._store.create, org, schedule, template):
            raise _taken(schedule.name)
        if schedule.on is not None:
            await asyncio.to_thread(self._connect_new, schedule.name, schedule.on)
        self._caller.changed()
        return self._view(schedule)

    def _connect_new(self, name: str, rule: EventRule) -> None:
        """Subscribe a new trigger; if that fails, delete it with everything that was created."""
        try:
            self._caller.connect(name, rule)
        except Exception:
            try:
                self._caller.connect(name, None, rule)
            finally:
                self._store.delete(self._caller.org, name)
            raise

    @serves(schedules_operations.CHANGE_SCHEDULE)
    async def change_schedule(
        self, params: s.ScheduleParams, request: s.ScheduleSettings
    ) -> s.ScheduleView:
        known = await asyncio.to_thread(self._existing, params.name)
        now = self._runner.clock()
        request = await asyncio.to_thread(self._check_source, params.name, request)
        if request.what == known.what:  # its pipeline may be deleted by now
            call = None if known.on is None else known.on.call
            request = _with_call(request, call)
            checked: s.ScheduleSettings = rules.checked(
                request, now, local=self._caller.runs_scripts
            )
            check_settings(checked)
            settings, template = checked, None
        else:
            settings, template = await self._checked(request, now)
        fields = {**_fields(settings), "owner": self._caller.user}
        if settings.on is None:
            fields["held"] = None
        view = await self._change(
            params, lambda old: rules.started(old.model_copy(update=fields), now), template=template
        )
        if known.on is not None or settings.on is not None:
            await asyncio.to_thread(self._caller.connect, params.name, settings.on, known.on)
        return view

    def _check_source(self, name: str, request: _R) -> _R:
        if request.on is None:
            return request
        return request.model_copy(update={"on": self._caller.check_source(name, request.on)})

    async def _checked(
        self, request: s.ScheduleSettings, now: float
    ) -> tuple[s.ScheduleSettings, bytes | None]:
        request = await self._with_program(request)
        settings = rules.checked(request, now, local=self._caller.runs_scripts)
        if isinstance(settings.what, s.TemplateSource):
            check_settings(settings)
            launch = await self._caller.template_launch(settings.what.pipeline)
            return settings, await asyncio.to_thread(packed, launch)
        settings = await self._caller.with_script(settings)
        check_settings(settings)
        return settings, None

    async def _with_program(self, request: s.ScheduleSettings) -> s.ScheduleSettings:
        """Return the settings of a trigger with the program of the pipeline that it names."""
        source = request.what
        if request.on is None or not isinstance(source, s.ScriptSource) or source.pipeline is None:
            return _with_call(request, None)
        call = call_of((await self._caller.template_launch(source.pipeline)).tree)
        if call is None:
            raise invalid("what", f"the script of {source.pipeline} is not known; name another one")
        call = call.model_copy(update={"arguments": {**call.arguments, **source.arguments}})
        program: s.Source = s.ScriptSource(
            kind="script", command=call.command, directory=call.directory
        )
        if not self._caller.runs_scripts:
            program = git_source(call, source.image)
        return _with_call(request.model_copy(update={"what": program}), call)

    @serves(schedules_operations.DELETE_SCHEDULE)
    async def delete_schedule(self, params: s.ScheduleParams) -> s.ScheduleDeleted:
        is_trigger, former = await asyncio.to_thread(self._events_of, params.name)
        if is_trigger:  # first, so that a request that fails can be repeated
            await asyncio.to_thread(self._caller.connect, params.name, None, former)
        if not await asyncio.to_thread(self._store.delete, self._caller.org, params.name):
            raise _unknown(params.name)
        return s.ScheduleDeleted(name=params.name)

    def _events_of(self, name: str) -> tuple[bool, EventRule | None]:
        """Return whether a schedule may be a trigger, and its events, if they are known."""
        try:
            known = self._store.get(self._caller.org, name)
        except RefusedError:  # its record is damaged
            return True, None
        rule = None if known is None else known.on
        return rule is not None, rule

    @serves(schedules_operations.PAUSE_SCHEDULE)
    async def pause_schedule(self, params: s.ScheduleParams) -> s.ScheduleView:
        pause = {"paused": True, "paused_why": None, "next": None}
        return await self._change(params, lambda old: old.model_copy(update=pause))

    @serves(schedules_operations.RESUME_SCHEDULE)
    async def resume_schedule(self, params: s.ScheduleParams) -> s.ScheduleView:
        """Resume a schedule from now on; the caller becomes its owner if it paused itself."""
        now = self._runner.clock()

        def resumed(old: s.Schedule) -> s.Schedule:
            owner = old.owner if old.paused_why is None else self._caller.user
            running = old.model_copy(update={"paused": False, "owner": owner})
            return rules.started(running, now) if old.paused else old

        return await self._change(params, resumed)

    @serves(schedules_operations.FIRE_SCHEDULE)
    async def fire_schedule(
        self, params: s.ScheduleParams, key: str | None = None, *, repeated: bool = False
    ) -> s.Firing:
        """Fire a schedule now; return the firing with its pipeline."""
        firing = rules.manual(key or uuid4().hex, self._runner.clock())
        org = self._caller.org
        if repeated and (known := await asyncio.to_thread(self._repeated, params, firing)):
            return known
        await self._add(params, (firing,))
        found = await asyncio.to_thread(self._store.firing, org, params.name, firing.id)
        return found or firing

    def _repeated(self, params: s.ScheduleParams, firing: s.Firing) -> s.Firing | None:
        mark = firing.id.rpartition("-")[2]
        known = self._store.firings(self._caller.org, params.name)
        return next((one for one in known if one.id.endswith(mark)), None)

    @serves(schedules_operations.BACKFILL_SCHEDULE)
    async def backfill_schedule(
        self, params: s.ScheduleParams, request: s.Backfill
    ) -> s.FiringList:
        """Fire a schedule for each of its times in a range of the past."""
        known = await asyncio.to_thread(self._existing, params.name)
        firings = rules.backfill(known, request, self._runner.clock())
        await self._add(params, firings)
        return await asyncio.to_thread(self._current, params.name, firings)

    def _current(self, name: str, firings: Sequence[s.Firing]) -> s.FiringList:
        store, org = self._store, self._caller.org
        current = [store.firing(org, name, one.id) or one for one in firings]
        return s.FiringList(firings=tuple(current))

    async def _add(self, params: s.ScheduleParams, firings: Sequence[s.Firing]) -> None:
        def opened(old: s.Schedule) -> s.Schedule:
            rules.check_open(old, len(firings))
            return rules.with_open(old, firings)

        await self._change(params, opened, firings)
        await self._runner.serve(self._caller.org, params.name)

    @serves(schedules_operations.LIST_FIRINGS)
    async def list_firings(self, params: s.FiringsParams) -> s.FiringList:
        return await asyncio.to_thread(self._page, params)

    def _page(self, params: s.FiringsParams) -> s.FiringList:
        self._existing(params.name)
        store, org = self._store, self._caller.org
        found = store.firings(org, params.name, params.before, params.limit + 1)
        shown = tuple(found[: params.limit])
        return s.FiringList(firings=shown, more=len(found) > params.limit)

    @serves(schedules_operations.SCHEDULE_TIMES)
    async def schedule_times(self, params: s.TimesParams) -> s.TimesView:
        """Return the next times of a cron expression."""
        normal = normal_form(params.cron)
        found = next_times(normal, params.zone, self._runner.clock(), s.SHOWN_TIMES)
        return s.TimesView(cron=normal, times=found)

    async def _change(
        self,
        params: s.ScheduleParams,
        change: Callable[[s.Schedule], s.Schedule],
        firings: Sequence[s.Firing] = (),
        template: bytes | None = None,
    ) -> s.ScheduleView:
        changed = await asyncio.to_thread(self._changed, params.name, change, firings, template)
        self._caller.changed()
        return self._view(changed)

    def _changed(
        self,
        name: str,
        change: Callable[[s.Schedule], s.Schedule],
        firings: Sequence[s.Firing],
        template: bytes | None,
    ) -> s.Schedule:
        store, org = self._store, self._caller.org
        for _ in range(_TRIES):
            old = self._existing(name)
            stored = store.change(org, old, change(old), firings, template)
            if stored is not None:
                return stored
        raise RefusedError(f"{name}: it is being changed by others; try again")

    def _existing(self, name: str) -> s.Schedule:
        found = self._store.get(self._caller.org, name)
        if found is None:
            raise _unknown(name)
        return found

    def _view(self, schedule: s.Schedule) -> s.ScheduleView:
        now = self._runner.clock()
        last = self._store.firings(self._caller.org, schedule.name, rules.id_after(now), limit=1)
        shown = rules.shown_times(schedule, now)
        return s.ScheduleView(schedule=schedule, times=shown, last=newest(last))


def _fields(settings: s.ScheduleSettings) -> dict[str, Any]:
    """Return the values of the settings, which may be those of a `NewSchedule`."""
    return {name: getattr(settings, name) for name in s.ScheduleSettings.model_fields}


def _with_call(request: s.ScheduleSettings, call: ProgramCall | None) -> s.ScheduleSettings:
    """Return settings whose event rule has a call, which clients cannot set."""
    if request.on is None:
        return request
    return request.model_copy(update={"on": request.on.model_copy(update={"call": call})})


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"no schedule {name!r}; 'conducto schedule list' lists them")


def _taken(name: str) -> RefusedError:
    return RefusedError(
        f"there is a schedule {name!r}; choose another name, or change that one with --replace"
    )
