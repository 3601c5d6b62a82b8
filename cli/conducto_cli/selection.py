"""Which nodes of a pipeline a person means."""

from collections.abc import Iterator, Sequence
from typing import Literal

from conducto.errors import UsageError
from conducto.wire.node_patterns import has_wildcard, node_path
from conducto_cli.references import expand
from conducto_cli.text.text import count_of
from conducto_client import ApiError, Client
from conducto_core.model.requests import NodeView
from conducto_core.model.states import NodeType

_NOT_FOUND = 404


def all_paths(client: Client, pipeline_id: str) -> list[str]:
    """Return the path of every node, in definition order."""
    return [view.path for view in client.tree(pipeline_id, attempts="none")]


def several(client: Client, pipeline_id: str, patterns: Sequence[str]) -> list[str]:
    """Return the paths that patterns mean; whether a plain one exists is left to the agent.

    Raises:
        UsageError: a pattern matches nothing; names the nearest path.
    """
    if any(map(has_wildcard, patterns)):
        return expand(patterns, all_paths(client, pipeline_id))
    return [node_path(pattern) for pattern in patterns]


def one(client: Client, pipeline_id: str, text: str) -> str:
    """Return the one node that a person means.

    Raises:
        UsageError: there is none, or several.
    """
    path = node_path(text)
    try:
        next(iter(client.tree(pipeline_id, root=path, depth=0, attempts="none")))
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
    else:
        return path
    found = expand([text], all_paths(client, pipeline_id))
    if len(found) > 1 and has_wildcard(text):
        raise UsageError(f"{path}: matches {count_of(len(found), 'node')}; name one of them")
    return found[0]


def one_view(client: Client, pipeline_id: str, text: str) -> NodeView:
    """Return the one node that a person means, without its attempts."""
    path = one(client, pipeline_id, text)
    (view,) = client.tree(pipeline_id, root=path, depth=0, attempts="none")
    return view


def one_exec(client: Client, pipeline_id: str, text: str) -> str:
    """Return the one Exec that a person means.

    Raises:
        UsageError: there is none, or several, or it is a group.
    """
    view = one_view(client, pipeline_id, text)
    path = view.path
    if view.type is not NodeType.EXEC:
        raise UsageError(
            f"{path}: is a {view.type.value}, which runs no command of its own; name one of the "
            f"Execs below it: conducto tree {pipeline_id} {path}"
        )
    return path


def failed(
    client: Client, pipeline_id: str, *, attempts: Literal["all", "newest", "none"] = "none"
) -> Iterator[NodeView]:
    """Yield the nodes that failed by themselves: Execs, and groups that timed out."""
    return client.tree(pipeline_id, failed=True, attempts=attempts)
