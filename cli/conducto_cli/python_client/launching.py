"""``co.launch``."""

import inspect
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, Literal

from pydantic import ValidationError

from conducto.api.target import Launching
from conducto.errors import ClientError, DefinitionError, InvalidArgumentError
from conducto.tree.launch import check
from conducto.tree.launch_options import LaunchOptions
from conducto.tree.nodes import Node
from conducto.tree.parameters import to_tags
from conducto.tree.titles import title_of_process
from conducto_cli.launch import cloud as cloud_launch
from conducto_cli.launch import local as local_launch
from conducto_cli.python_client.hosts import one_of, open_target, selected
from conducto_cli.text.text import printable
from conducto_client import Client
from conducto_client.pipeline import Pipeline
from conducto_client.target import Target, TargetName, problem_of
from conducto_core.model.requests import LaunchRequest

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
        engine=one_of("engine", engine, _ENGINES),
        build=one_of("build", build, _BUILDS),
        snapshot_on_error=snapshot_on_error,
        profile=profile,
        argv=[_script()],
    )
    given = {name for name, value in vars(options).items() if value != getattr(_DEFAULTS, name)}
    given = (given - {"argv"}) | ({"target"} if target is not None else set())
    where = selected(target, profile) or "local"
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
    return submit(open_target(where, options.profile, launching=True), request)


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


def _tags(tags: Any) -> list[str]:
    try:
        return to_tags(tags) or []
    except TypeError as error:
        raise InvalidArgumentError(f"tags: {error}") from None
