"""Actions of a user on nodes and pipelines, and the selection of nodes."""

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack

from conducto.errors import InvalidArgumentError, NodeNotFoundError, PipelineNotFoundError
from conducto.wire.node_patterns import fixed_part, has_wildcard, matches, node_path
from conducto.wire.printable import suggestion
from conducto_client.client import Client
from conducto_client.errors import ApiError
from conducto_client.target import Target, checked
from conducto_core.run.model.params import TreeParams
from conducto_core.run.model.requests import (
    Action,
    Changes,
    ControlRequest,
    ControlResult,
    NodeView,
)
from conducto_core.run.model.states import State

_NOT_FOUND = 404


class NodeChanges(TypedDict, total=False):
    """New values of node parameters; None removes a node's own value.

    The keys are the fields of `conducto_core.run.model.requests.Changes`.
    """

    command: str | None
    env: dict[str, str | None] | None
    cpu: float | None
    mem: float | None
    gpu: int | None
    spot: bool | Literal["only"] | None
    image: str | None
    requires_docker: bool | None
    docker_run_args: Sequence[str] | None
    max_time: float | str | None
    budget: float | None
    max_concurrent: int | None
    retry_lost: int | None
    retry: dict[str, Any] | None
    stop_on_error: bool | None
    suppress_errors: bool | None
    container_reuse_context: str | None
    doc: str | None


class Selection(TypedDict, total=False):
    """Filters for nodes.

    Attributes:
        state: Only Execs in this state.
        failed: Only nodes that failed by themselves.
        text: Only nodes whose path or command contains this text.
    """

    state: State | Literal["pending", "queued", "running", "done", "error", "killed"] | None
    failed: bool
    text: str | None


class Actions:
    """The actions on one pipeline."""

    def __init__(self, target: Target, pipeline_id: str) -> None:
        self.target = target
        self.pipeline_id = pipeline_id

    def on_pipeline(self, action: Action) -> ControlResult:
        """Execute an action on the pipeline as a whole."""
        return self._send(checked(ControlRequest, action=action))

    def on_nodes(
        self,
        action: Action,
        paths: Sequence[str],
        *,
        failed: bool = False,
        preview: bool = False,
        **changes: Unpack[NodeChanges],
    ) -> ControlResult:
        """Execute an action on nodes, or on those that failed."""
        if not (paths or failed):
            raise InvalidArgumentError(
                f"{action.value}: name the nodes, or give failed=True; '/' is all of them"
            )
        fields: dict[str, Any] = {"action": action, "failed": failed, "preview": preview}
        if action is Action.MODIFY:
            if not changes:
                raise InvalidArgumentError("modify: name what to change, e.g. command='make test'")
            fields["changes"] = checked(Changes, **changes)
        return self._send(checked(ControlRequest, **fields, paths=tuple(paths)))

    def paths(self, patterns: Sequence[str]) -> list[str]:
        """Return the paths that patterns select, each once.

        Raises:
            NodeNotFoundError: a pattern matches nothing.
        """
        return list(dict.fromkeys(path for each in patterns for path in self._expanded(each)))

    def _expanded(self, pattern: str) -> list[str]:
        path = node_path(pattern)
        if not has_wildcard(path):
            return [path]
        found = [view.path for view in self.nodes(path)]
        if not found:
            raise NodeNotFoundError(f"{path}: matches no node of pipeline {self.pipeline_id}")
        return [path] if path in found else found

    def nodes(self, pattern: str | None = None, **filters: Unpack[Selection]) -> list[NodeView]:
        """Return the nodes that a pattern and filters select, in definition order."""
        if pattern is None:
            return self.below("/", **filters)
        path = node_path(pattern)
        if not has_wildcard(path) and not filters:
            return [self.node(path)]
        try:
            found = self.below(fixed_part(path), **filters)
        except NodeNotFoundError:
            if has_wildcard(path):
                return []  # nothing matches below a node that does not exist
            raise
        return [view for view in found if view.path == path or matches(path, view.path)]

    def below(self, root: str, **filters: Unpack[Selection]) -> list[NodeView]:
        """Return a node and all nodes below it that filters select."""
        given = {name: value for name, value in filters.items() if value is not None}
        query = checked(TreeParams, id=self.pipeline_id, root=root, attempts="newest", **given)
        options = query.model_dump(exclude={"id", "root"}, exclude_defaults=True)
        try:
            return self.target.read(
                lambda client: list(client.tree(self.pipeline_id, root=root, **options))
            )
        except ApiError as error:
            raise self._explained(error, [root]) from error

    def node(self, path: str) -> NodeView:
        """Return one node.

        Raises:
            NodeNotFoundError: there is none; names the nearest.
        """
        wanted = node_path(path)
        try:
            (view,) = self.target.read(
                lambda client: tuple(
                    client.tree(self.pipeline_id, root=wanted, depth=0, attempts="newest")
                )
            )
        except ApiError as error:
            raise self._explained(error, [wanted]) from error
        return view

    def _send(self, request: ControlRequest) -> ControlResult:
        def send(client: Client) -> ControlResult:
            sent = request
            if request.action is Action.REBUILD:
                host = self.target.host
                sent = host.rebuild_request(client, self.pipeline_id, request)
            return client.control(self.pipeline_id, sent)

        try:
            return self.target.call(send)
        except ApiError as error:
            raise self._explained(error, request.paths) from error

    def _explained(self, error: ApiError, paths: Sequence[str]) -> Exception:
        """Return a better error if a path, or the pipeline, does not exist."""
        if error.status != _NOT_FOUND:
            return error
        try:
            known = self.target.read(
                lambda client: [
                    view.path for view in client.tree(self.pipeline_id, attempts="none")
                ]
            )
        except ApiError:
            return PipelineNotFoundError(str(error))
        wrong = next((path for path in paths if path not in known), None)
        if wrong is None:
            return error
        hint = suggestion(wrong, known)
        return NodeNotFoundError(f"{wrong}: pipeline {self.pipeline_id} has no such node{hint}")
