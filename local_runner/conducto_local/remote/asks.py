"""Requests of the cloud: each is checked against the machine's policy, executed once, and logged.

An operation runs through the agent's own `Service`, as a request of the command line would.
"""

import asyncio
import base64
import binascii
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError

from conducto_core.api import problems
from conducto_core.api.dispatch import JSON, Headers, Match, Response, Service, encode, takes_bytes
from conducto_core.api.downloads import Download
from conducto_core.api.operation import AnyOperation, LinkClass
from conducto_core.approvals.operations import DECIDE_APPROVAL
from conducto_core.approvals.rules import Decider
from conducto_core.people.model import Role
from conducto_core.remote.model import LINK_TAG, MAX_CONCURRENT, Ask, Caller
from conducto_core.remote.rules import (
    CHECKED_BODIES,
    SCHEDULING,
    LinkRequest,
    Refusal,
    redefines_work,
    refusal_of,
)
from conducto_core.run.model.requests import ControlRequest, Problem
from conducto_core.run.operations import CONTROL, GET
from conducto_core.schedules.model import SCHEDULE_TAG, NewSchedule, ScheduleSettings
from conducto_local.approvals.handlers import DECIDER
from conducto_local.remote.connection import Channel, LostError
from conducto_local.remote.policy import LinkSettings, LinkSettingsError
from conducto_local.remote.responses import (
    TransferError,
    Transfers,
    repeat_lost,
    response_frames,
    send_frames,
)
from conducto_local.remote.summaries import LinkFiles

logger = logging.getLogger(__name__)

#: Maximum number of requests at the same time, above what a cloud that keeps the rules sends.
_MAX_EXECUTING = 2 * MAX_CONCURRENT
#: Maximum number of responses that are kept in case that they have to be repeated.
_MAX_UNSETTLED = 100
#: Seconds after which no client waits for a response any more; large ones are still uploaded.
_RESPONSE_SECONDS = 660.0
#: Maximum number of paths in a line of the log.
_SHOWN_PATHS = 20
#: Number of requests whose ids are remembered: a repeated one is not executed again.
_REMEMBERED = 1000

CurrentSettings = Callable[[], LinkSettings | None]


@dataclass(frozen=True, slots=True)
class Policy:
    """The machine's policy, read for each request.

    Attributes:
        settings: Returns the current link; a change in the file applies at once.
        files: Know the pipelines that came through the link.
    """

    settings: CurrentSettings
    files: LinkFiles

    def refusal(self, request: LinkRequest) -> Refusal | None:
        """Return why a request is refused, or None."""
        try:
            link = self.settings()
        except LinkSettingsError as error:
            return Refusal(str(error), "correct the configuration on the machine")
        if link is None:
            return Refusal("this machine is not linked any more", "conducto agent link")
        return refusal_of(link.policy, link.user, request)

    def decider(self, caller: Caller) -> Decider:
        """Return the sender of a request, with the role in which they decide approvals."""
        if caller.program:
            return Decider(caller.user, None, caller.assistant)
        refused = self.refusal(LinkRequest(DECIDE_APPROVAL, caller)) is not None
        return Decider(caller.user, Role.VIEWER if refused else Role.OWNER)

    def request(
        self, operation: AnyOperation, caller: Caller, pipeline: str | None, body: bytes = b""
    ) -> LinkRequest:
        """Return the facts about a request that the policy needs."""
        remote = pipeline is not None and self.files.is_remote(pipeline)
        control = _control_in(body) if operation.name == CONTROL.name else None
        schedule = _schedule_in(operation, body) if operation.name in SCHEDULING else None
        return LinkRequest(operation, caller, control, defined_remotely=remote, schedule=schedule)


def _control_in(body: bytes) -> ControlRequest | None:
    try:
        return ControlRequest.model_validate_json(body)
    except ValidationError:
        return None  # needs the highest class; the service explains the error


def _schedule_in(operation: AnyOperation, body: bytes) -> ScheduleSettings | None:
    try:
        found = operation.body.model_validate_json(body) if operation.body else None
    except ValidationError:
        return None  # the service refuses it for the same reason
    return found if isinstance(found, ScheduleSettings) else None


class Asks:
    """Executes the requests of the cloud.

    Args:
        transfers: For bodies that are not in frames.
        on_change: Called after a request that may have changed pipelines.
    """

    def __init__(
        self,
        service: Service,
        policy: Policy,
        channel: Channel,
        transfers: Transfers,
        on_change: Callable[[], None],
    ) -> None:
        self._service = service
        self._policy = policy
        self._channel = channel
        self._transfers = transfers
        self._on_change = on_change
        self._running: dict[str, asyncio.Task[None]] = {}
        self._executing = 0
        self._known: OrderedDict[str, None] = OrderedDict()

    def begin(self, ask: Ask) -> None:
        """Execute a request in the background, unless its id is known."""
        if ask.id in self._known:
            return
        self._known[ask.id] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        busy = self._executing >= _MAX_EXECUTING
        self._executing += 1
        task = asyncio.create_task(self._run(ask, busy=busy))
        self._running[ask.id] = task
        task.add_done_callback(lambda _: self._running.pop(ask.id, None))

    async def close(self) -> None:
        """Stop responding; operations that have started end."""
        for task in (tasks := list(self._running.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, ask: Ask, *, busy: bool) -> None:
        try:
            async with asyncio.timeout(_RESPONSE_SECONDS):
                await self._respond(ask, busy=busy)
        except (TimeoutError, LostError, TransferError) as error:
            about = {"operation": ask.operation, "why": str(error) or "no connection"}
            logger.warning("no response to the cloud", extra=about)
        except Exception:
            logger.exception("request of the cloud failed", extra={"operation": ask.operation})

    async def _respond(self, ask: Ask, *, busy: bool) -> None:
        try:
            answer = _problem(_BUSY) if busy else await self._answer(ask)
            frames = await response_frames(self._transfers, ask, answer)
            losses = await send_frames(self._channel, frames)
        finally:
            self._executing -= 1
        if len(self._running) < _MAX_UNSETTLED:
            await repeat_lost(self._channel, frames, losses)

    async def _answer(self, ask: Ask) -> Response | Download:
        operation = self._service.operation(ask.operation)
        if operation is None:  # a newer cloud may have more; other requests must not suffer
            return _problem(
                Problem(
                    title="not found",
                    status=404,
                    detail=f"the agent has no operation {ask.operation!r}",
                    remedy="install the version of Conducto that the installation has",
                )
            )
        try:
            body = _inline_body(ask)
        except ValueError as error:
            problem = Problem(title="invalid request", status=400, detail=f"body: {error}")
            return _problem(problem)
        if operation.link_class is not LinkClass.READ:
            await self._note_origin(ask.params.get("id"))
        # The policy decides before a body elsewhere is read; some are always in frames.
        request = self._policy.request(operation, ask.caller, ask.params.get("id"), body)
        refusal = self._policy.refusal(request)
        if refusal is not None:
            _log("request of the cloud refused", ask, request, reason=refusal.detail)
            return _problem(
                Problem(
                    type="about:blank#link-policy",
                    title="not allowed by the machine",
                    status=403,
                    detail=refusal.detail,
                    remedy=refusal.remedy,
                )
            )
        if ask.url is not None and operation.name not in CHECKED_BODIES:
            try:
                body = await self._transfers.get(ask.url, operation.max_body)
            except TransferError as error:
                return _problem(Problem(title="no body", status=502, detail=str(error)))
        return await self._execute(ask, request, body)

    async def _execute(self, ask: Ask, request: LinkRequest, body: bytes) -> Response | Download:
        operation = request.operation
        if redefines_work(request):  # recorded before, so that a crash does not hide the change
            self._policy.files.note_remote(ask.params["id"])
        if request.schedule is not None:
            self._policy.files.note_remote_schedule(_name_of(request.schedule, ask))
        DECIDER.set(self._policy.decider(ask.caller))  # in the task of this request only
        match = Match(operation, dict(ask.params))
        headers = Headers(
            media_type=ask.headers.media_type or JSON,
            range=ask.headers.range,
            idempotency_key=ask.headers.idempotency_key or f"relay-{ask.id}",
        )
        sent = _once(body) if takes_bytes(match) else body
        answer = await self._service.respond(match, ask.query, sent, headers)
        if operation.link_class is not LinkClass.READ:
            _log("request of the cloud executed", ask, request, status=answer.status)
            self._on_change()
        return answer

    async def _note_origin(self, pipeline: str | None) -> None:
        """Note a pipeline that came through the link by its record, before it is changed.

        A program or a schedule of the link has launched it, or a command of such a pipeline.
        """
        files = self._policy.files
        tags = {LINK_TAG, *(f"{SCHEDULE_TAG}{name}" for name in files.remote_schedules())}
        known: list[str] = []
        while pipeline is not None:
            found = await self._service.respond(Match(GET, {"id": pipeline}), "", b"", Headers())
            if not isinstance(found, Response) or found.status != HTTPStatus.OK:
                return
            record = json.loads(found.body)["pipeline"]
            known.append(record["id"])
            pipeline = (record["parent"] or {}).get("pipeline")
            if tags.intersection(record["tags"]) or (pipeline and files.is_remote(pipeline)):
                files.note_remote(known[0])
                return


_BUSY = Problem(
    title="busy",
    status=429,
    detail=f"the machine executes {_MAX_EXECUTING} requests of the cloud already",
    remedy="try again in a few seconds",
)


def _name_of(schedule: ScheduleSettings, ask: Ask) -> str:
    return schedule.name if isinstance(schedule, NewSchedule) else ask.params["name"]


def _log(event: str, ask: Ask, request: LinkRequest, **more: Any) -> None:
    control, pipeline = request.control, ask.params.get("id")
    subject = {} if pipeline is None else {"pipeline": pipeline}
    action = {} if control is None else {"action": control.action, "paths": _paths(control)}
    about = {"user": ask.caller.user, "operation": ask.operation, "request": ask.id}
    logger.info(event, extra={**about, **subject, **action, **more})


def _paths(control: ControlRequest) -> str:
    shown = " ".join(control.paths[:_SHOWN_PATHS])
    return shown if len(control.paths) <= _SHOWN_PATHS else f"{shown} …"


def _problem(problem: Problem) -> Response:
    return Response(problem.status, problems.MEDIA_TYPE, encode(problem))


def _inline_body(ask: Ask) -> bytes:
    try:
        return base64.b64decode(ask.b64, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
