"""Pipelines as people name them: an id or its beginning, a title, ``@last`` or ``@failed``."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from conducto.errors import UsageError
from conducto.wire.node_patterns import has_wildcard, node_path
from conducto.wire.printable import suggestion
from conducto_cli.app.arguments import SHORTCUTS
from conducto_cli.app.references import expand
from conducto_cli.text.actions import state_text
from conducto_cli.text.text import count_of, printable, table
from conducto_client import ApiError, Client
from conducto_core.run.model.labels import duration
from conducto_core.run.model.params import ListParams
from conducto_core.run.model.requests import NodeView, PipelineSummary
from conducto_core.run.model.states import FAILED, NodeType

_NOT_FOUND = 404
_MAX_ID = 64
#: Maximum number of pipelines in the list of those that a reference can mean.
_LISTED = 10
_DAY = 86_400.0


class UnknownPipelineError(UsageError):
    """No pipeline has this id, title or shortcut; the message names the nearest."""


def find_pipeline(client: Client, reference: str) -> PipelineSummary:
    """Return the pipeline that a person means.

    Raises:
        UnknownPipelineError: there is none.
        UsageError: there are several.
    """
    found = matching(client, reference)
    if not found:
        raise _none(client, reference)
    return only_one(reference, found)


def matching(client: Client, reference: str) -> list[PipelineSummary]:
    """Return the pipelines of one target that a reference can mean, the newest first.

    An exact id is unambiguous. A title counts only if no other pipeline has it and no id begins
    with it. Archived pipelines are considered if no others have the title.
    """
    if reference in SHORTCUTS:
        return _SHORTCUTS[reference](client)
    by_id = _with_id(client, reference)
    if by_id is not None and by_id.pipeline.id == reference:
        return [by_id]
    found = _titled(client, reference)
    if by_id is not None and by_id.pipeline.id not in {each.pipeline.id for each in found}:
        found.append(by_id)
    return found


def newest(summaries: Sequence[PipelineSummary]) -> list[PipelineSummary]:
    """Return the pipeline that was launched last; empty if there is none."""
    return sorted(summaries, key=lambda each: each.pipeline.created)[-1:]


def only_one(reference: str, found: Sequence[PipelineSummary]) -> PipelineSummary:
    """Return the only pipeline of some.

    Raises:
        UsageError: there are several; lists them with id, state, age and title.
    """
    if len(found) == 1:
        return found[0]
    targets = {each.pipeline.mode for each in found}
    lines = table([_cells(each, both=len(targets) > 1) for each in found[:_LISTED]])
    more = [f"and {len(found) - _LISTED:,} more"] if len(found) > _LISTED else []
    head = f"{reference!r} could be any of {len(found):,} pipelines; give the ID of one:"
    raise UsageError("\n".join([head, *(f"  {line}" for line in (*lines, *more))]))


def _cells(summary: PipelineSummary, *, both: bool) -> tuple[str, ...]:
    record = summary.pipeline
    target = (record.mode,) if both else ()
    return (record.id, *target, state_text(summary), _age(record.created), printable(record.title))


def _age(created: float) -> str:
    seconds = max(0.0, time.time() - created)
    text = f"{seconds / _DAY:.0f} days" if seconds >= 2 * _DAY else duration(seconds)
    return f"{text} ago"


def _last(client: Client) -> list[PipelineSummary]:
    return [*client.list_page(ListParams(limit=1)).pipelines]


def _last_failed(client: Client) -> list[PipelineSummary]:
    queries = (ListParams(state=state, limit=1) for state in sorted(FAILED))
    return newest([each for query in queries for each in client.list_page(query).pipelines])


_SHORTCUTS: dict[str, Callable[[Client], list[PipelineSummary]]] = {
    "@last": _last,
    "@failed": _last_failed,
}


def _with_id(client: Client, reference: str) -> PipelineSummary | None:
    if not 0 < len(reference) <= _MAX_ID:
        return None
    try:
        return client.get(reference)
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
        return None


def _titled(client: Client, title: str) -> list[PipelineSummary]:
    if not title.strip():
        return []
    for lifecycle in ("listed", "archived"):
        page = client.list_page(ListParams(text=title, lifecycle=lifecycle))
        found = [each for each in page.pipelines if each.pipeline.title == title]
        if found:
            return found
    return []


def _none(client: Client, reference: str) -> UnknownPipelineError:
    if reference.startswith("/"):
        return UnknownPipelineError(f"{reference!r} is a PATH; the ID comes before it")
    known = client.list_page(ListParams()).pipelines
    if not known:
        return UnknownPipelineError(
            f"no pipeline {reference!r}, for there is none yet; launch one: "
            "python pipeline.py --local --run"
        )
    if reference == "@failed":
        return UnknownPipelineError("@failed: no pipeline has failed; 'conducto list' lists them")
    names = [*SHORTCUTS, *(each.pipeline.id for each in known)]
    names += dict.fromkeys(each.pipeline.title for each in known)
    remedy = suggestion(reference, names) or "; 'conducto list' lists them"
    return UnknownPipelineError(f"no pipeline {reference!r}{remedy}")


# ----------------------------------------------------------------------------------------
# Which nodes of a pipeline a person means.


def all_paths(client: Client, pipeline_id: str) -> list[str]:
    """Return the path of every node, in definition order."""
    return [view.path for view in client.tree(pipeline_id, attempts="none")]


@contextmanager
def naming_nearest(client: Client, pipeline_id: str, paths: Sequence[str]) -> Iterator[None]:
    """Turn the refusal of an unknown path into one that names the nearest."""
    try:
        yield
    except ApiError as error:
        if error.status == _NOT_FOUND:
            expand(paths, all_paths(client, pipeline_id))
        raise


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
