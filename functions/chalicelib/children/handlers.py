"""The operations of a command with ``launch=True``, whose token identifies its attempt."""

import asyncio
from collections.abc import Callable
from typing import Any

from chalicelib.budgets.children import register_child
from chalicelib.people.port import Identity
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.launching import Origin
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto_core.children.handlers import ChildApi, attempt_ended
from conducto_core.children.model import ChildLaunch
from conducto_core.children.rules import as_parent, check_depth, child_form
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.requests import LaunchRequest, PipelineSummary
from conducto_core.run.model.states import State
from conducto_core.run.rules.live_nodes import LiveExec


class CloudChildren(ChildApi):
    """The children of one attempt.

    Raises:
        ProblemError: 401, the attempt has ended or is being stopped.
    """

    pipelines: CloudPipelines

    def __init__(
        self,
        identity: Identity,
        engine: CommandProcessor,
        pipelines: CloudPipelines,
        clock: Callable[[], float],
    ) -> None:
        if identity.attempt is None:
            raise ValueError("the token is not that of an attempt")
        pipeline_id, path, number = identity.attempt
        self._engine, self._org = engine, identity.org
        self.pipelines, self._clock = pipelines, clock
        try:
            with engine.reading(identity.org, pipeline_id) as live:
                node = _running(live, path, number)
                self.me = as_parent(live.record, path, number)
                self._over = live.why_above(path, clock())
                self._image = live.pipeline.images[node.spec.placement.image]
                self._origin = Origin(
                    self.me, live.record.foreign_change, dict(live.pipeline.images), live.sources
                )
        except NotFoundError as error:
            raise attempt_ended(path) from error

    async def launch(
        self, request: ChildLaunch, form: dict[str, Any], key: str | None, *, repeated: bool
    ) -> PipelineSummary:
        """Launch a child for the owner of its parent."""
        check_depth(self.me)
        if self._over is not None and not repeated:
            raise RefusedError(f"nothing is launched: {self._over}")
        launch = LaunchRequest(
            tree=child_form(form, self._image),
            title=request.title,
            doc=request.doc,
            tags=request.tags,
            run=request.run,
        )
        made = await self.pipelines.launch(launch, key, repeated=repeated, origin=self._origin)
        me, child = self.me, made.pipeline.id
        await asyncio.to_thread(
            register_child,
            self._engine,
            self._clock(),
            self._org,
            me.pipeline,
            path=me.path,
            child=child,
        )
        return made


def _running(live: CloudPipeline, path: str, number: int) -> LiveExec:
    node = live.exec_in(path, number, State.RUNNING)
    if node is None or node.stop_reason is not None:
        raise attempt_ended(path)
    return node
