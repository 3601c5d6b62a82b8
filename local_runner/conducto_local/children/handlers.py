"""Requests of commands that launch pipelines, over the operations of clients."""

from typing import Any
from weakref import WeakKeyDictionary

from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.dispatch import Headers, Response, Service
from conducto_core.api.idempotency import IdempotentExecutor, MemoryResponses
from conducto_core.api.operation import AnyOperation, Permission
from conducto_core.api.problems import ProblemError, too_large
from conducto_core.children.handlers import ChildApi, attempt_ended, refusal
from conducto_core.children.model import ChildLaunch
from conducto_core.children.operations import CHILD_OPERATIONS
from conducto_core.children.rules import as_parent, check_depth, check_rights, child_form
from conducto_core.run.model.requests import LaunchRequest, PipelineSummary
from conducto_core.tree.model import Pipeline
from conducto_local.children.channel import ChildRequest, ChildResponse
from conducto_local.run.launching import LocalLaunches, Origin
from conducto_local.run.live_pipeline import ActiveAttempt
from conducto_local.run.reading import LocalQueries


class LocalChildren(LocalLaunches, LocalQueries):
    """Launches by commands."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._scheduler.children = self.serve_child
        self._responses: WeakKeyDictionary[ActiveAttempt, IdempotentExecutor] = WeakKeyDictionary()

    async def serve_child(self, active: ActiveAttempt, request: ChildRequest) -> ChildResponse:
        once = self._responses.get(active)
        if once is None:
            once = self._responses[active] = IdempotentExecutor(MemoryResponses())
        operations = (*CHILD_OPERATIONS, *OPERATIONS)
        service = Service(_Children(self, active), operations=operations, once=once)
        try:
            match = service.find(request.method, request.path)
            _check_allowed(active, match.operation)
            if len(request.body) > match.operation.max_body:
                raise too_large(match.operation.max_body)
        except ProblemError as error:
            answer = service.refusal(error)
            return ChildResponse(answer.status, answer.body)
        headers = Headers(idempotency_key=request.key)
        found = await service.respond(match, "", request.body, headers)
        if not isinstance(found, Response):
            raise TypeError(f"{match.operation.name}: not a response: {found!r}")
        return ChildResponse(found.status, found.body)


def _check_allowed(active: ActiveAttempt, operation: AnyOperation) -> None:
    """Check that the command of an attempt may execute an operation.

    Raises:
        ProblemError: 403 for another operation, 401 if the attempt has ended or is being stopped.
    """
    if operation.permission is not Permission.CHILDREN:
        raise refusal(403, "not allowed", f"this token does not allow {operation.name}")
    is_current = active.live.active_attempts.get(active.spec.path) is active
    if active.gone or active.stopping or not is_current:
        raise attempt_ended(active.spec.path)


class _Children(ChildApi):
    """The children of one attempt."""

    pipelines: LocalChildren

    def __init__(self, pipelines: LocalChildren, active: ActiveAttempt) -> None:
        self.pipelines = pipelines
        self._active = active
        self.me = as_parent(active.live.record, active.spec.path, active.number)

    async def launch(
        self, request: ChildLaunch, form: dict[str, Any], key: str | None, *, repeated: bool
    ) -> PipelineSummary:
        live, spec = self._active.live, self._active.spec
        check_depth(self.me)
        images = live.pipeline.images
        record = live.record
        launch = LaunchRequest(
            tree=child_form(form, images[spec.placement.image]),
            title=request.title,
            doc=request.doc,
            tags=request.tags,
            run=request.run,
            engine=record.engine,
            owner=record.owner,
        )

        def check(child: Pipeline) -> None:
            if record.engine == "docker":  # a plain process has all rights of the user
                check_rights(child, spec, images.values())

        return await self.pipelines.launch(
            launch, key, repeated=repeated, origin=Origin(self.me, check)
        )
