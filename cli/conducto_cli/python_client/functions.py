"""``co.launch``, ``co.get_pipeline``, ``co.list_pipelines``, ``co.latest`` and ``co.connect``."""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from pydantic import ValidationError

from conducto.api.target import Launching
from conducto.errors import (
    ClientError,
    DefinitionError,
    InvalidArgumentError,
    PipelineNotFoundError,
    UsageError,
)
from conducto.tree import unused
from conducto.tree.launch import check
from conducto.tree.launch_options import LaunchOptions
from conducto.tree.nodes import Node
from conducto.tree.parameters import to_tags
from conducto.tree.titles import title_of_process
from conducto_cli.cloud_account import account_of
from conducto_cli.connection import client_opener, exit_code_of, message_of
from conducto_cli.exit_codes import USAGE
from conducto_cli.launch import cloud as cloud_launch
from conducto_cli.launch import local as local_launch
from conducto_cli.pipeline_lookup import find_pipeline
from conducto_cli.python_client.hosts import CloudHost, LocalHost
from conducto_cli.target import chosen, is_in_cloud, probe
from conducto_client import Client
from conducto_client.data import Data
from conducto_client.pipeline import Pipeline
from conducto_client.secrets import SecretStore
from conducto_client.target import Target, TargetName, checked, problem_of
from conducto_core.model.params import MAX_PIPELINES_PAGE, ListParams
from conducto_core.model.requests import PipelineSummary
from conducto_core.model.states import State

StateName = Literal["pending", "queued", "running", "done", "error", "killed"]
_TARGETS = ("local", "cloud")
_ENGINES = (None, "docker", "process")
_BUILDS = (None, "local", "cloud")


def launch(
    pipeline: Node | Callable[..., Node],
    *args: Any,
    target: TargetName | None = None,
    title: str | None = None,
    doc: str | None = None,
    tags: str | Sequence[str] = (),
    run: bool = True,
    run_at: datetime | float | None = None,
    sleep_when_done: bool = False,
    retention: int = 7,
    engine: Literal["docker", "process"] | None = None,
    build: Literal["local", "cloud"] | None = None,
    snapshot_on_error: bool = False,
    profile: str | None = None,
    **kwargs: Any,
) -> Pipeline:
    """Launch a pipeline and return its handle, without waiting for its end.

    Args:
        pipeline: A tree, or a function that returns one.
        args: Arguments of the function; so are ``kwargs``.
        target: ``local`` or ``cloud``; by default that of the profile, else ``local``.
        title: By default that of the root, or the name of the function or the script.
        doc: Description, markdown.
        tags: Labels besides those of the root; a text is one label.
        run: Start at once. False leaves it pending, until ``run()`` of the handle.
        run_at: Time to start instead; a number is seconds since the epoch.
        sleep_when_done: Put it to sleep when it is done.
        retention: Days without activity after which it is archived.
        engine: ``process`` runs plain processes on this machine, without images and isolation.
        build: Place to build images for the cloud; the cloud by default.
        snapshot_on_error: Keep the container files of failed commands, for ``conducto debug``.
        profile: The profile; by default the one in use.
        kwargs: Arguments of the function.

    Raises:
        conducto.errors.DefinitionError: the tree is invalid; nothing was launched.
        conducto.errors.ClientError: the server rejects it, or does not respond.
    """
    options = LaunchOptions(
        run=run and run_at is None,
        run_at=run_at.timestamp() if isinstance(run_at, datetime) else run_at,
        sleep_when_done=sleep_when_done,
        title=title,
        doc=doc,
        tags=_tags(tags),
        retention=retention,
        engine=_one_of("engine", engine, _ENGINES),
        build=_one_of("build", build, _BUILDS),
        snapshot_on_error=snapshot_on_error,
        profile=profile,
        argv=[_script()],
    )
    given = {name for name, value in vars(options).items() if value != getattr(_DEFAULTS, name)}
    given = (given - {"argv"}) | ({"target"} if target is not None else set())
    where = _target(target, profile) or "local"
    with Launching(where, profile):  # the function may declare secrets
        root = _tree(pipeline, args, kwargs, given)
    _complete(options, root, pipeline)
    check(root, cloud=where == "cloud")
    return _launched(root, options, where)


_DEFAULTS = LaunchOptions(run=True)


def _launched(root: Node, options: LaunchOptions, where: TargetName) -> Pipeline:
    try:
        if where == "local":
            request = local_launch.prepared(root, options)
        else:
            ready = cloud_launch.prepared(root, options)
            ready.bring_images()
            request = ready.request
    except ValidationError as error:
        raise InvalidArgumentError(f"launch: {problem_of(error)}") from None
    target = Target(_host(where, options.profile, launching=True))
    return Pipeline(target, target.call(lambda client: client.launch(request)))


def _tree(pipeline: Any, args: Sequence[Any], kwargs: dict[str, Any], given: set[str]) -> Node:
    """Return the tree of a launch."""
    if isinstance(pipeline, Node):
        if args or kwargs:
            wrong = ", ".join([*map(repr, args), *kwargs])
            raise InvalidArgumentError(f"launch: a tree takes no arguments, got {wrong}")
        root: Any = pipeline
    elif callable(pipeline):
        _refuse_ambiguous(pipeline, given)
        root = pipeline(*args, **kwargs)
    else:
        raise InvalidArgumentError(
            f"launch: expected a tree or a function that returns one, got {pipeline!r}"
        )
    if not isinstance(root, Node):
        close = getattr(root, "close", None)
        if hasattr(root, "__await__") and close is not None:
            close()
            raise InvalidArgumentError("launch: the function is async; pass its awaited result")
        raise InvalidArgumentError(f"launch: expected a tree, the function returned {root!r}")
    if root.parent is not None:
        raise DefinitionError(
            f"{root}: is a node inside a tree; launch its root",
            path=str(root),
            file=root.file,
            line=root.line,
        )
    return root


def _refuse_ambiguous(function: Callable[..., object], given: set[str]) -> None:
    try:
        names = inspect.signature(function).parameters
    except (TypeError, ValueError):  # e.g. a builtin
        return
    both = sorted(given & set(names))
    if both:
        raise InvalidArgumentError(
            f"launch: {both[0]!r} is a parameter of launch and of the function; call the function "
            f"yourself: co.launch({getattr(function, '__name__', 'pipeline')}({both[0]}=...), ...)"
        )


def _complete(options: LaunchOptions, root: Node, pipeline: object) -> None:
    """Fill in the title and the description, as the command line of a script does."""
    name = getattr(pipeline, "__name__", "")
    name = "" if name.startswith("<") else name  # such as <lambda>
    if options.title is None:
        options.title = root.title or name or (title_of_process() if _script() else "pipeline")
    if options.doc is None and root.doc is None and name:
        options.doc = inspect.getdoc(pipeline)


def _script() -> str:
    """Return the script that this process runs; empty in a notebook or an interpreter."""
    return str(getattr(sys.modules.get("__main__"), "__file__", None) or "")


def _one_of(name: str, value: Any, allowed: Sequence[Any]) -> Any:
    if value not in allowed:
        words = " or ".join(repr(each) for each in allowed if each is not None)
        raise InvalidArgumentError(f"{name}: {value!r}; it can be {words}")
    return value


def _tags(tags: Any) -> list[str]:
    try:
        return to_tags(tags) or []
    except TypeError as error:
        raise InvalidArgumentError(f"tags: {error}") from None


def _target(target: str | None, profile: str | None) -> TargetName | None:
    """Return the target that the caller or the profile selects."""
    return chosen(_one_of("target", target, (None, *_TARGETS)), profile)


def get_pipeline(
    pipeline_id: str, *, target: TargetName | None = None, profile: str | None = None
) -> Pipeline:
    """Return a launched pipeline.

    Args:
        pipeline_id: Its id or an unambiguous beginning of it, an unambiguous title, ``@last`` or
            ``@failed``.
        target: ``local`` or ``cloud``; by default wherever it is, this machine first.
        profile: The profile; by default the one in use.

    Raises:
        conducto.errors.PipelineNotFoundError: there is none; names the nearest.
    """
    unused.mark_used()
    where = _target(target, profile)
    account = account_of(profile)
    try:
        if where is None and account is not None:
            local = client_opener(profile)
            where = "cloud" if is_in_cloud(pipeline_id, local, probe(account)) else "local"
        found = Target(_host(where or "local", profile, launching=True))
        return Pipeline(found, found.read(lambda client: find_pipeline(client, pipeline_id)))
    except UsageError as error:
        if "no pipeline" not in str(error):
            raise
        raise PipelineNotFoundError(str(error)) from error


def _host(where: TargetName, profile: str | None, *, launching: bool) -> LocalHost | CloudHost:
    return CloudHost(profile) if where == "cloud" else LocalHost(profile, launching=launching)


def list_pipelines(
    *,
    title: str | None = None,
    state: State | StateName | None = None,
    tag: str | None = None,
    owner: str | None = None,
    text: str | None = None,
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
        archived: Also those that are archived.
        limit: At most this many.
        target: ``local`` or ``cloud``; by default both, if the profile is logged in. If one of them
            does not respond, a warning on stderr names it.
        profile: The profile; by default the one in use.
    """
    unused.mark_used()
    if limit is not None and limit < 1:
        raise InvalidArgumentError(f"limit: {limit}; it must be at least 1")
    fields = {"state": state, "tag": tag, "owner": owner, "text": text if title is None else title}
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

    def read(client: Client) -> list[PipelineSummary]:
        return list(islice(filter(fits, client.iterate(query)), limit))

    found = _in_targets([*_targets(target, profile)], read)
    found.sort(key=lambda pipeline: pipeline.created, reverse=True)
    return found[:limit]


def _targets(target: TargetName | None, profile: str | None) -> Iterator[Target]:
    where = _target(target, profile)
    names: list[TargetName] = ["local"] if where is None else [where]
    if where is None and account_of(profile) is not None:
        names.append("cloud")
    for name in names:
        yield Target(_host(name, profile, launching=False))


def _in_targets(
    targets: Sequence[Target], read: Callable[[Client], list[PipelineSummary]]
) -> list[Pipeline]:
    """Return the pipelines of all targets that respond; warn about the others.

    Raises:
        ClientError: no target responds, or the query is invalid.
    """
    found: list[Pipeline] = []
    failures: dict[TargetName, ClientError] = {}
    for each in targets:
        try:
            summaries = each.read(read)
        except ClientError as error:
            if exit_code_of(error) == USAGE or len(targets) == 1:
                raise
            failures[each.name] = error
        else:
            found += [Pipeline(each, summary) for summary in summaries]
    for name, failure in failures.items():
        where = "this machine" if name == "local" else "the cloud"
        print(
            f"conducto: the pipelines of {where} are not listed: {message_of(failure)}",
            file=sys.stderr,
        )
    if len(failures) == len(targets):
        raise next(iter(failures.values()))
    return found


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


class Connection:
    """A target: the data of the user and the secrets there.

    Attributes:
        data: The user's data, which all pipelines share.
        secrets: The secrets of the user and of the organisation.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.data = Data(target, None)
        self.secrets = SecretStore(target)

    @property
    def target(self) -> TargetName:
        """``local`` or ``cloud``."""
        return self._target.name

    def __repr__(self) -> str:
        return f"<connection ({self.target})>"


def connect(target: TargetName | None = None, *, profile: str | None = None) -> Connection:
    """Return a target, for the user's data and the secrets.

    Args:
        target: ``local`` or ``cloud``; by default that of the profile, else ``local``.
        profile: The profile; by default the one in use.
    """
    return Connection(Target(_host(_target(target, profile) or "local", profile, launching=False)))
