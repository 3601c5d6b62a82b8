"""``co.get_pipeline``, ``co.list_pipelines``, ``co.latest``, ``co.metrics`` and ``co.compare``."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Literal, TypeVar

from conducto.errors import ClientError, InvalidArgumentError, PipelineNotFoundError, UsageError
from conducto.tree import unused
from conducto_cli.app.exit import USAGE
from conducto_cli.python_client.hosts import open_target, selected
from conducto_cli.target.account import account_of
from conducto_cli.target.connection import client_opener, exit_code_of, message_of
from conducto_cli.target.lookup import UnknownPipelineError, find_pipeline
from conducto_cli.target.target import is_in_cloud, probe
from conducto_client import Client
from conducto_client.aio import AsyncPipeline
from conducto_client.pipeline import ComparedMetricRow, Pipeline, compared_rows
from conducto_client.target import Target, TargetName, checked
from conducto_core.partitions.model import PartitionsParams
from conducto_core.partitions.rules import states_of
from conducto_core.programs.history import PipelineComparison
from conducto_core.results.model import CompareParams
from conducto_core.run.model.params import MAX_PIPELINES_PAGE, MAX_TEXT, ListParams
from conducto_core.run.model.requests import PipelineSummary
from conducto_core.run.model.states import State
from conducto_core.test_results.model import ProgramTestParams

T = TypeVar("T")
StateName = Literal["pending", "queued", "running", "done", "error", "killed"]


def get_pipeline(
    pipeline_id: str | Pipeline | AsyncPipeline,
    *,
    target: TargetName | None = None,
    profile: str | None = None,
) -> Pipeline:
    """Return a launched pipeline.

    Args:
        pipeline_id: Its id or an unambiguous beginning of it, an unambiguous title, ``@last`` or
            ``@failed``; or its handle.
        target: ``local`` or ``cloud``; by default wherever it is, this machine first.
        profile: The profile; by default the one in use.

    Raises:
        conducto.errors.PipelineNotFoundError: there is none; names the nearest.
        conducto.errors.InvalidArgumentError: it is ambiguous; lists the pipelines.
    """
    unused.mark_used()
    where = selected(target, profile)
    if isinstance(pipeline_id, (Pipeline, AsyncPipeline)):
        return _handle(pipeline_id, target)
    if not isinstance(pipeline_id, str):
        raise InvalidArgumentError(
            f"{pipeline_id!r} is not a pipeline: give an id, a title, '@last', '@failed' or a "
            "handle, which co.launch returns"
        )
    account = account_of(profile)
    if where is None and account is not None:
        openers = client_opener(profile), probe(account)
        where = "cloud" if _looked_up(lambda: is_in_cloud(pipeline_id, *openers)) else "local"
    found = open_target(where or "local", profile, launching=True)
    summary = _looked_up(
        lambda: found.read(lambda client: find_pipeline(client, pipeline_id)),
    )
    return Pipeline(found, summary)


def _looked_up(find: Callable[[], T]) -> T:
    """Return the result of a lookup; its errors become those of the client."""
    try:
        return find()
    except UnknownPipelineError as error:
        raise PipelineNotFoundError(str(error)) from error
    except UsageError as error:
        raise InvalidArgumentError(str(error)) from error


def _handle(given: Pipeline | AsyncPipeline, target: TargetName | None) -> Pipeline:
    """Return the blocking handle; raise an error if it is not on the target."""
    if target not in {None, given.target}:
        raise InvalidArgumentError(
            f"target: {target!r}, but {given.id} is on target {given.target!r}; leave it out"
        )
    return given if isinstance(given, Pipeline) else given._inner  # noqa: SLF001 - its twin


def list_pipelines(
    *,
    title: str | None = None,
    state: State | StateName | None = None,
    tag: str | None = None,
    owner: str | None = None,
    text: str | None = None,
    parent: str | None = None,
    archived: bool = False,
    limit: int | None = None,
    target: TargetName | None = None,
    profile: str | None = None,
) -> list[Pipeline]:
    """Return the launched pipelines that match, the newest first.

    Args:
        title: Only those with exactly this title.
        state: Only those in this state.
        tag: Only those with this tag.
        owner: Only those of this user.
        text: Only those whose id, title, tags or script contain this text.
        parent: Only those that commands of the pipeline with this id launched.
        archived: Also those that are archived.
        limit: At most this many.
        target: ``local`` or ``cloud``; by default both, if the profile is logged in. If one of them
            does not respond, a warning on stderr names it.
        profile: The profile; by default the one in use.
    """
    unused.mark_used()
    if limit is not None and limit < 1:
        raise InvalidArgumentError(f"limit: {limit}; it must be at least 1")
    fields = {"state": state, "tag": tag, "owner": owner, "parent": parent}
    fields["text"] = text if title is None else title
    query = checked(
        ListParams,
        **{name: value for name, value in fields.items() if value is not None},
        lifecycle="all" if archived else "listed",
        # The server does not compare whole titles, so a page has others, too.
        limit=min(
            MAX_PIPELINES_PAGE if limit is None or title is not None else limit, MAX_PIPELINES_PAGE
        ),
    )

    def fits(summary: PipelineSummary) -> bool:
        record = summary.pipeline
        if title is None:
            return True
        words = (record.id, record.title, *record.tags, record.program or "")
        has_text = text is None or any(text.lower() in word.lower() for word in words)
        return record.title == title and has_text

    def read(target: Target) -> list[Pipeline]:
        summaries = target.read(lambda c: list(islice(filter(fits, c.iterate(query)), limit)))
        return [Pipeline(target, summary) for summary in summaries]

    found = _in_targets([*_targets(target, profile)], read)
    found.sort(key=lambda pipeline: pipeline.created, reverse=True)
    return found[:limit]


def _targets(target: TargetName | None, profile: str | None) -> Iterator[Target]:
    where = selected(target, profile)
    names: list[TargetName] = ["local"] if where is None else [where]
    if where is None and account_of(profile) is not None:
        names.append("cloud")
    for name in names:
        yield open_target(name, profile)


def _in_targets(targets: Sequence[Target], read: Callable[[Target], list[T]]) -> list[T]:
    """Return the items of all targets that respond; warn about the others.

    Raises:
        ClientError: no target responds, or the query is invalid.
    """
    found: list[T] = []
    failures: dict[TargetName, ClientError] = {}
    for each in targets:
        try:
            found += read(each)
        except ClientError as error:
            if exit_code_of(error) == USAGE or len(targets) == 1:
                raise
            failures[each.name] = error
    for name, failure in failures.items():
        where = "this machine" if name == "local" else "the cloud"
        print(
            f"conducto: the pipelines of {where} are not listed: {message_of(failure)}",
            file=sys.stderr,
        )
    if len(failures) == len(targets):
        raise next(iter(failures.values()))
    return found


def metrics(
    title: str,
    *,
    limit: int = 20,
    path: str | None = None,
    name: str | None = None,
    target: TargetName | None = None,
    profile: str | None = None,
) -> list[ComparedMetricRow]:
    """Return the metrics of the newest pipelines with a title, a row for each metric.

    Args:
        title: Exact title of the pipelines.
        limit: At most this many pipelines of each target, up to 100; archived ones count.
        path: Only metrics of this node.
        name: Only this metric.
        target: As in `list_pipelines`.
        profile: The profile; by default the one in use.
    """
    unused.mark_used()
    query = checked(CompareParams, title=title, limit=limit, path=path, name=name)

    def read(target: Target) -> list[ComparedMetricRow]:
        found = target.read(lambda client: client.compare_metrics(query))
        return [row for pipeline in found.pipelines for row in compared_rows(pipeline)]

    found = _in_targets([*_targets(target, profile)], read)
    return sorted(found, key=lambda row: row["created"], reverse=True)


def seconds_of_files(program: str, target: TargetName, profile: str | None) -> dict[str, float]:
    """Return ``{file: seconds}`` of the tests in the pipelines of a script; empty if unknown."""
    path = os.path.abspath(program)  # noqa: PTH100  as the launch records it
    query = ListParams(text=path[:MAX_TEXT], lifecycle="all", limit=MAX_PIPELINES_PAGE)

    def read(client: Client) -> dict[str, float]:
        for each in client.list_page(query).pipelines:
            if each.pipeline.program == path:
                tests = ProgramTestParams(id=each.pipeline.id, limit=1)
                return client.program_tests(tests).files
        return {}

    try:
        return open_target(target, profile).read(read)
    except ClientError as error:
        print(f"conducto: no times of tests, so all files count the same: {error}", file=sys.stderr)
        return {}


def partition_states(
    program: str, function: str, target: TargetName, profile: str | None
) -> dict[str, str]:
    """Return ``{key: state}`` of the partitions of a function of a script."""
    path = os.path.abspath(program)  # noqa: PTH100  as the launch records it
    query = PartitionsParams(program=path, function=function)
    found = open_target(target, profile).read(lambda client: client.partitions(query))
    return {key: state.name.lower() for key, state in states_of(found).items()}


def latest(
    title: str | None = None,
    *,
    state: State | StateName | None = None,
    tag: str | None = None,
    target: TargetName | None = None,
    profile: str | None = None,
) -> Pipeline:
    """Return the newest pipeline with a title, or the newest of all; see `list_pipelines`.

    Raises:
        conducto.errors.PipelineNotFoundError: there is none.
    """
    found = list_pipelines(
        title=title, state=state, tag=tag, limit=1, target=target, profile=profile
    )
    if not found:
        filters = {"title": title, "state": state, "tag": tag}
        words = ", ".join(f"{n} {str(v)!r}" for n, v in filters.items() if v is not None)
        raise PipelineNotFoundError(f"no pipeline{f' with {words}' if words else ''}")
    return found[0]


def compare(
    before: str | Pipeline | AsyncPipeline,
    after: str | Pipeline | AsyncPipeline,
    *,
    limit: int = 100,
    target: TargetName | None = None,
    profile: str | None = None,
) -> PipelineComparison:
    """Return the differences between two pipelines of one target, as ``conducto compare``.

    Args:
        before: The earlier pipeline, or its id as in `get_pipeline`.
        after: The later one.
        limit: Maximum number of differences of each kind.
        target: As in `get_pipeline`.
        profile: The profile; by default the one in use.
    """
    first, second = (get_pipeline(each, target=target, profile=profile) for each in (before, after))
    return second.compare(first, limit=limit)
