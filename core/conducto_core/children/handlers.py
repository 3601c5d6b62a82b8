"""The operations of a command with ``launch=True``, for both targets."""

import asyncio
import base64
from abc import ABC, abstractmethod
from typing import Any

from conducto.wire.lazy_form import from_wire_document
from conducto_core.api.problems import ProblemError
from conducto_core.api.serve import serves
from conducto_core.children import operations as children_operations
from conducto_core.children.model import ChildLaunch, ChildStatus, FailedNode
from conducto_core.errors import NotFoundError, invalid
from conducto_core.run.model.params import PipelineParams, TreeParams
from conducto_core.run.model.records import ParentAttempt
from conducto_core.run.model.requests import NodeView, PipelineSummary, Problem
from conducto_core.run.port import PipelineReader
from conducto_core.tree.model import unpack_tree

#: Maximum number of failed nodes in a `ChildStatus`, and characters of each tail.
MAX_FAILED, MAX_TAIL = 20, 2000


class ChildApi(ABC):
    """The operations of one attempt.

    Attributes:
        me: The attempt, as the parent of its children.
        pipelines: The pipelines of the target.
    """

    me: ParentAttempt
    pipelines: PipelineReader

    @abstractmethod
    async def launch(
        self, request: ChildLaunch, form: dict[str, Any], key: str | None, *, repeated: bool
    ) -> PipelineSummary:
        """Launch a pipeline.

        Args:
            request: The request.
            form: Its tree, without the image of the parent.
            key: Idempotency key, different from those of other attempts.
            repeated: An earlier request with this key may have launched it.
        """

    @serves(children_operations.LAUNCH_CHILD)
    async def launch_child(
        self, request: ChildLaunch, key: str | None = None, *, repeated: bool = False
    ) -> ChildStatus:
        form = await asyncio.to_thread(form_of, request.tree)
        # Keys of different attempts may be equal.
        me = self.me
        own = None if key is None else f"{me.pipeline}{me.path}:{me.attempt}/{key}"
        return await self._status(await self.launch(request, form, own, repeated=repeated))

    @serves(children_operations.GET_CHILD)
    async def get_child(self, params: PipelineParams) -> ChildStatus:
        try:
            summary = await self.pipelines.get_pipeline(params)
        except NotFoundError as error:  # the same response as for a pipeline of others
            raise _foreign(params.id) from error
        if summary.pipeline.parent != self.me:
            raise _foreign(params.id)
        return await self._status(summary)

    async def _status(self, summary: PipelineSummary) -> ChildStatus:
        failed: tuple[FailedNode, ...] = ()
        if summary.settled and summary.counts.error:
            query = TreeParams(
                id=summary.pipeline.id, failed=True, attempts="newest", tails=True, limit=MAX_FAILED
            )
            failed = tuple(map(_failed, (await self.pipelines.get_tree(query)).nodes))
        return ChildStatus(
            id=summary.pipeline.id,
            title=summary.pipeline.title,
            state=summary.state,
            counts=summary.counts,
            settled=summary.settled,
            failed=failed,
        )


def form_of(tree: str) -> dict[str, Any]:
    """Return the launch form of a tree in the wire form.

    Raises:
        DefinitionError: it is not one.
    """
    try:
        form = from_wire_document(unpack_tree(base64.b64decode(tree, validate=True)))
    except ValueError as error:
        raise invalid(None, f"not a serialised tree: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise invalid(None, f"not a serialised tree: {error!r}") from error
    return form


def refusal(status: int, title: str, detail: str, remedy: str | None = None) -> ProblemError:
    """Return the problem of a request that a token does not permit."""
    return ProblemError(Problem(title=title, status=status, detail=detail, remedy=remedy))


def attempt_ended(path: str) -> ProblemError:
    """Return the problem of a token whose attempt has ended."""
    return refusal(401, "wrong token", f"{path}: the attempt of this token has ended")


def _foreign(pipeline_id: str) -> ProblemError:
    detail = f"{pipeline_id!r} is not a pipeline that this attempt launched"
    return refusal(403, "not allowed", detail)


def _failed(node: NodeView) -> FailedNode:
    attempt = node.attempts[-1] if node.attempts else None
    reason = "failed" if node.cause is None else node.cause.value.replace("_", " ")
    if attempt is not None and attempt.exit_code is not None:
        reason = f"exit code {attempt.exit_code}"
    tail = None if node.tail is None else node.tail[-MAX_TAIL:]
    return FailedNode(path=node.path, reason=reason, tail=tail)
