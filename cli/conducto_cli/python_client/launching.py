"""``co.launch`` and ``co.plan``."""

import inspect
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, Literal

from pydantic import ValidationError

from conducto.api.calls import Launching
from conducto.errors import ClientError, InvalidArgumentError
from conducto.tree.launch import LaunchOptions, check
from conducto.tree.launched_tree import tree_of
from conducto.tree.nodes import Node
from conducto.tree.parameters import to_tags
from conducto.tree.titles import title_of_process
from conducto_cli.launch import cloud_request
from conducto_cli.launch import local as local_launch
from conducto_cli.launch.into import with_kept
from conducto_cli.python_client.hosts import one_of, open_target, selected
from conducto_cli.python_client.queries import get_pipeline
from conducto_cli.text.text import printable
from conducto_client import Client
from conducto_client.aio import AsyncPipeline
from conducto_client.pipeline import Pipeline
from conducto_client.target import Target, TargetName, problem_of
from conducto_core.programs.model import ContinuePlan, ContinueRequest
from conducto_core.run.model.requests import LaunchRequest

_ENGINES = (None, "docker", "process")
_BUILDS = (None, "local", "cloud")


def launch(
    pipeline: Node | Callable[..., Node],
    *args: Any,
    target: TargetName | None = None,
    title: str | None = None,
    doc: str | None = None,
    tags: str | Sequence[str] | None = None,
    run: bool = True,
    run_at: datetime | float | None = None,
    sleep_when_done: bool = False,
    retention: int | None = None,
    secret_set: str | None = None,
    engine: Literal["docker", "process"] | None = None,
    build: Literal["local", "cloud"] | None = None,
    snapshot_on_error: bool = False,
    into: str | Pipeline | AsyncPipeline | None = None,
    fresh: bool = False,
    keep_secrets: bool = False,
    profile: str | None = None,
    **kwargs: Any,
) -> Pipeline:
    """Launch a pipeline and return its handle, without waiting for its end.

    With ``into``, the tree replaces that of an existing pipeline, and the commands that are
    unchanged stay done; `plan` returns them beforehand. Its title, description, tags and retention
    stay, too, unless they are given here or in the tree.

    Args:
        pipeline: A tree, or a function that returns one.
        args: Arguments of the function; so are ``kwargs``.
        target: ``local`` or ``cloud``; by default that of the profile, else ``local``. With
            ``into``, by default that of the pipeline.
        title: By default that of the root, or the name of the function or the script.
        doc: Description, markdown.
        tags: Labels besides those of the root; a text is one label.
        run: Start at once. False leaves it pending, until ``run()`` of the handle.
        run_at: Time to start instead; a number is seconds since the epoch.
        sleep_when_done: Put it to sleep when it is done.
        retention: Days without activity after which it is archived; 7 by default.
        secret_set: Set of secrets that the commands get, besides those without a set.
        engine: ``process`` runs plain processes on this machine, without images and isolation.
        build: Place to build images for the cloud; the cloud by default.
        snapshot_on_error: Keep the container files of failed commands, for ``conducto debug``.
        into: The pipeline to continue, or its id as in ``co.get_pipeline``. It must be finished or
            paused, not archived, and launched by the same script file.
        fresh: With ``into``: keep no results, run every command again.
        keep_secrets: With ``into``: keep commands that differ only in their secrets.
        profile: The profile; by default the one in use.
        kwargs: Arguments of the function.

    Raises:
        conducto.errors.DefinitionError: the tree is invalid; nothing was launched or replaced.
        conducto.errors.ClientError: the server rejects it, or does not respond.
    """
    switches = {"run": run, "sleep_when_done": sleep_when_done, "fresh": fresh}
    switches |= {"keep_secrets": keep_secrets, "snapshot_on_error": snapshot_on_error}
    for name, value in switches.items():
        one_of(name, value, (True, False))
    options = LaunchOptions(
        run=run and run_at is None,
        run_at=run_at.timestamp() if isinstance(run_at, datetime) else run_at,
        sleep_when_done=sleep_when_done,
        title=title,
        doc=doc,
        tags=_tags(tags),
        retention=retention,
        secret_set=secret_set,
        engine=one_of("engine", engine, _ENGINES),
        build=one_of("build", build, _BUILDS),
        snapshot_on_error=snapshot_on_error,
        into=None if into is None else str(getattr(into, "id", into)),
        fresh=fresh,
        keep_secrets=keep_secrets,
        profile=profile,
        argv=[_script()],
    )
    for name in ("fresh", "keep_secrets"):
        if switches[name] and into is None:
            raise InvalidArgumentError(f"{name}: only with into=, the pipeline to continue")
    given = {name for name, value in vars(options).items() if value != getattr(_DEFAULTS, name)}
    given = (given - {"argv"}) | ({"target"} if target is not None else set())
    old = None if into is None else get_pipeline(into, target=target, profile=profile)
    if old is not None and engine not in (None, old.summary.pipeline.engine):
        raise InvalidArgumentError(
            f"engine: {engine!r}, but {old.id} keeps its engine, "
            f"{old.summary.pipeline.engine!r}; leave it out"
        )
    where = (selected(target, profile) or "local") if old is None else old.target
    request, bring_images = _prepared(pipeline, args, kwargs, given, options=options, where=where)
    bring_images()
    destination = open_target(where, profile, launching=True)
    if old is None:
        return submit(destination, request)
    request = with_kept(request, options, old.summary.pipeline)
    asked = ContinueRequest(launch=request, fresh=fresh, keep_secrets=keep_secrets)
    made = _continue(destination, old.id, asked)
    return Pipeline(destination, made.pipeline)


_DEFAULTS = LaunchOptions(run=True)


def plan(
    pipeline: Node | Callable[..., Node],
    *args: Any,
    into: str | Pipeline | AsyncPipeline,
    fresh: bool = False,
    keep_secrets: bool = False,
    target: TargetName | None = None,
    profile: str | None = None,
    **kwargs: Any,
) -> ContinuePlan:
    """Return the commands that ``launch(..., into=...)`` would keep and run; change nothing.

    Args:
        pipeline: The new tree, or a function that returns it.
        args: Arguments of the function; so are ``kwargs``.
        into: The pipeline to continue, or its id.
        fresh: Keep no results.
        keep_secrets: Keep commands that differ only in their secrets.
        target: ``local`` or ``cloud``; by default that of the pipeline.
        profile: The profile; by default the one in use.
        kwargs: Arguments of the function.

    Returns:
        The plan: ``nodes`` with the ``path``, the ``fate`` (``kept``, ``runs`` or ``skipped``) and
        the ``reason`` of each command, and the ``removed`` paths.

    Raises:
        conducto.errors.DefinitionError: the tree is invalid.
        conducto.errors.ClientError: the server rejects it, or does not respond.
    """
    old = get_pipeline(into, target=target, profile=profile)
    options = LaunchOptions(
        into=old.id, fresh=fresh, keep_secrets=keep_secrets, profile=profile, argv=[_script()]
    )
    switches = (("target", target), ("fresh", fresh), ("keep_secrets", keep_secrets))
    given = {"into"} | {name for name, value in switches if value}
    request, _ = _prepared(pipeline, args, kwargs, given, options=options, where=old.target)
    asked = ContinueRequest(launch=request, fresh=fresh, keep_secrets=keep_secrets, preview=True)
    return _continue(open_target(old.target, profile, launching=True), old.id, asked)


def _continue(target: Target, pipeline_id: str, asked: ContinueRequest) -> ContinuePlan:
    return target.call(lambda client: client.continue_pipeline(pipeline_id, asked))


def _prepared(
    pipeline: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    given: set[str],
    *,
    options: LaunchOptions,
    where: TargetName,
) -> tuple[LaunchRequest, Callable[[], None]]:
    with Launching(where, options.profile):  # the function may declare secrets
        if not isinstance(pipeline, Node):
            _refuse_ambiguous(pipeline, given)
        root = tree_of(pipeline, args, kwargs)
    _complete(options, root, pipeline)
    return request_for(root, options, where)


def request_for(
    root: Node, options: LaunchOptions, where: TargetName
) -> tuple[LaunchRequest, Callable[[], None]]:
    """Return the request for a tree, and a function that brings its images to the server."""
    check(root, cloud=where == "cloud")
    try:
        if where == "local":
            return local_launch.prepared(root, options), lambda: None
        ready = cloud_request.prepared(root, options)
    except ValidationError as error:
        raise InvalidArgumentError(f"launch: {problem_of(error)}") from None
    return ready.request, ready.bring_images


def submit(target: Target, request: LaunchRequest) -> Pipeline:
    """Launch, and print warnings about limits that this machine's engine ignores, each once."""
    pipeline = Pipeline(target, target.call(lambda client: client.launch(request)))
    if target.name == "local" and request.engine == "docker":
        with suppress(ClientError):  # the pipeline is launched
            for warning in target.call(Client.status).warnings:
                _warn_once(warning)
    return pipeline


@cache
def _warn_once(text: str) -> None:
    print(f"conducto: warning: {printable(text)}", file=sys.stderr)


def _refuse_ambiguous(function: Callable[..., object], given: set[str]) -> None:
    try:
        names = inspect.signature(function).parameters
    except (TypeError, ValueError):  # not a function, or a builtin
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
    if options.title is None and options.into is None:
        options.title = root.title or name or (title_of_process() if _script() else "pipeline")
    if options.doc is None and root.doc is None and name:
        options.doc = inspect.getdoc(pipeline)


def _script() -> str:
    """Return the script that this process runs; empty in a notebook or an interpreter."""
    return str(getattr(sys.modules.get("__main__"), "__file__", None) or "")


def _tags(tags: Any) -> list[str] | None:
    try:
        return to_tags(tags)
    except TypeError as error:
        raise InvalidArgumentError(f"tags: {error}") from None
