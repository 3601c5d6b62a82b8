"""The operations on triggers by events, for one caller; a trigger is a schedule with events."""

import asyncio
from secrets import token_hex

from conducto_core.api.serve import serves
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.events import model as e
from conducto_core.events import operations
from conducto_core.events.intake import EventIntake
from conducto_core.events.rules.firings import replay
from conducto_core.events.rules.payloads import arguments_of, masked, size_problem
from conducto_core.schedules.handlers import ScheduleOperations
from conducto_core.schedules.model import Firing, ScheduleParams


class EventOperations(ScheduleOperations):
    """The schedules and triggers of an agent or an organisation, for one caller."""

    @serves(operations.MAKE_HOOK)
    async def make_hook(self, params: ScheduleParams) -> e.NewHook:
        rule = await asyncio.to_thread(self._rule, params.name)
        if rule.source != "webhook":
            raise RefusedError(f"{params.name} fires for {rule.source}, not for a webhook")
        return await asyncio.to_thread(self._caller.new_hook, params.name)

    @serves(operations.TRY_EVENT)
    async def try_event(self, params: ScheduleParams, request: e.EventTrial) -> e.TriedEvent:
        """Return the parameters that a payload gives; launch it if they fit and it is requested."""
        rule = await asyncio.to_thread(self._rule, params.name)
        payload = masked(rule, request.payload)
        words, problems = arguments_of(rule, payload)
        tried = e.TriedEvent(
            payload=payload, parameters=words, problems=problems, why=size_problem(payload)
        )
        if not request.launch or problems or tried.why is not None:
            return tried
        intake = EventIntake(self._store, self._runner.clock, lambda _org, _name: 0)
        event = e.Event(key=token_hex(16), payload=request.payload)
        firing = await asyncio.to_thread(intake.add, self._caller.org, params.name, event)
        firing = await self._served(params.name, firing)
        done = {"firing": firing.id, "pipeline": firing.pipeline, "why": firing.why}
        return tried.model_copy(update=done)

    @serves(operations.REPLAY_FIRING)
    async def replay_firing(self, params: e.FiringParams) -> Firing:
        """Fire again with the payload of a firing; return the new firing."""
        known = await asyncio.to_thread(self._firing, params)
        await asyncio.to_thread(self._event, params, known)
        again = replay(known, token_hex(16), self._runner.clock())
        await self._add(ScheduleParams(name=params.name), (again,))
        return await self._served(params.name, again)

    @serves(operations.GET_PAYLOAD)
    async def get_payload(self, params: e.FiringParams) -> e.PayloadView:
        firing = await asyncio.to_thread(self._firing, params)
        stored = await asyncio.to_thread(self._event, params, firing)
        return e.PayloadView(origin=firing.event or stored.origin, payload=stored.payload)

    async def _served(self, name: str, firing: Firing) -> Firing:
        self._caller.changed()
        await self._runner.serve(self._caller.org, name)
        found = await asyncio.to_thread(self._store.firing, self._caller.org, name, firing.id)
        return found or firing

    def _rule(self, name: str) -> e.EventRule:
        rule = self._existing(name).on
        if rule is None:
            raise RefusedError(f"{name} is a schedule that no event fires")
        return rule

    def _firing(self, params: e.FiringParams) -> Firing:
        self._existing(params.name)
        found = self._store.firing(self._caller.org, params.name, params.firing)
        if found is None:
            raise NotFoundError(
                f"{params.name} has no firing {params.firing!r}; see 'conducto trigger firings'"
            )
        return found

    def _event(self, params: e.FiringParams, firing: Firing) -> e.StoredEvent:
        if firing.event is None:
            raise RefusedError(f"{params.firing} was not caused by an event, so it has no payload")
        found = self._store.event(self._caller.org, params.name, firing.event.mark)
        if found is None:
            raise NotFoundError(
                f"the payload of {params.firing} is no longer stored: they are kept for 40 days"
            )
        return found
