"""The handle of a pipeline that a command has launched."""

from __future__ import annotations

import time
import uuid
from typing import NamedTuple

from conducto.children.requests import call, current_target
from conducto.errors import (
    AgentUnreachableError,
    ApiError,
    InvalidArgumentError,
    PipelineFailed,
    WaitTimeoutError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Optional, Union

    from conducto.tree.nodes import Node

#: Seconds between two requests of `ChildPipeline.wait`: the first one, and the longest.
PAUSES = {"local": (0.1, 2.0), "cloud": (1.0, 15.0)}
#: Seconds after which a server that is unreachable is an error.
RECONNECT_SECONDS = 60.0
#: Seconds before a request is repeated: the first time, and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
#: Options of ``co.launch`` on a user's machine that a child has from its parent.
_FROM_PARENT = (
    "run_at",
    "sleep_when_done",
    "retention",
    "engine",
    "build",
    "snapshot_on_error",
    "profile",
)
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


class Counts(NamedTuple):
    """The Execs of a pipeline by state; ``skipped`` ones are also counted separately."""

    pending: int = 0
    queued: int = 0
    running: int = 0
    done: int = 0
    error: int = 0
    killed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """Number of all Execs."""
        return sum(self) - self.skipped


class ChildPipeline:
    """A pipeline that this command has launched.

    ``state`` and ``counts`` are read from the server each time. Methods raise
    `conducto.errors.ClientError`.
    """

    def __init__(self, status: Dict[str, Any]) -> None:
        self._id = str(status["id"])
        self._title = str(status["title"])

    @property
    def id(self) -> str:
        """Its id, e.g. ``abc-def``."""
        return self._id

    @property
    def title(self) -> str:
        """Its title."""
        return self._title

    @property
    def target(self) -> str:
        """``local`` or ``cloud``: that of this command."""
        return current_target()

    @property
    def state(self) -> str:
        """The current state, such as ``"done"``."""
        return str(self._read()["state"])

    @property
    def counts(self) -> Counts:
        """The number of Execs by state."""
        counts = self._read()["counts"]
        return Counts(**{name: counts[name] for name in Counts._fields})

    @property
    def settled(self) -> bool:
        """Whether nothing runs, is queued or will start by itself."""
        return bool(self._read()["settled"])

    def wait(
        self,
        timeout: Optional[float] = None,
        *,
        check: bool = False,
        progress: Optional[bool] = None,
    ) -> str:
        """Wait until the pipeline has settled; return its state.

        This command occupies its CPUs and memory meanwhile.

        Args:
            timeout: Seconds; None waits without a limit.
            check: Raise an error unless it is done.
            progress: Accepted as on a user's machine; nothing is shown.

        Raises:
            conducto.errors.PipelineFailed: ``check`` is true and it is not done.
            conducto.errors.WaitTimeoutError: it has not settled in time; a TimeoutError, too.
        """
        del progress
        end = None if timeout is None else time.monotonic() + timeout
        pause, longest = PAUSES[current_target()]
        while True:
            status = _patiently(self._read)
            if status["settled"]:
                break
            left = longest if end is None else end - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError(
                    f"pipeline {self._id} has not settled in {timeout} seconds; it continues"
                )
            time.sleep(min(pause, left))
            pause = min(1.5 * pause, longest)
        if check and status["state"] != "done":
            raise PipelineFailed(_report(status), self._id, status["state"])
        return str(status["state"])

    def _read(self) -> Dict[str, Any]:
        return call("GET", self._id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChildPipeline) and self._id == other._id

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        return f"<pipeline {self._id} ({current_target()}): {self._title!r}>"


def launch(
    pipeline: Union[Node, Callable[..., Node]],
    *args: Any,
    target: Optional[str] = None,
    title: Optional[str] = None,
    doc: Optional[str] = None,
    tags: Union[str, Iterable[str]] = (),
    run: bool = True,
    **kwargs: Any,
) -> ChildPipeline:
    """Launch a pipeline as a child of this attempt, and return its handle.

    It runs on the target and for the owner of this pipeline. Its root has the image of this node,
    unless it has its own.

    Args:
        pipeline: A tree, or a function that returns one.
        args: Arguments of the function; so are ``kwargs``.
        target: The target of this pipeline, or None.
        title: By default that of the root, or the name of the function.
        doc: Description, markdown.
        tags: Labels besides those of the root; a text is one label.
        run: Start at once.
        kwargs: Arguments of the function.

    Raises:
        conducto.errors.ConductoError: the node has no ``launch=True``.
        conducto.errors.DefinitionError: the tree is invalid; nothing was launched.
        conducto.errors.ClientError: the server rejects it, or does not respond.
    """
    from conducto.tree import unused  # noqa: PLC0415 - a command that launches nothing needs none
    from conducto.tree.launched_tree import tree_of  # noqa: PLC0415
    from conducto.tree.left_out import warn_unnamed  # noqa: PLC0415
    from conducto.tree.parameters import to_tags  # noqa: PLC0415
    from conducto.tree.serialize import encode, to_document  # noqa: PLC0415
    from conducto.tree.validate import validate  # noqa: PLC0415

    unused.mark_used()
    _check_options(target, kwargs)
    root = tree_of(pipeline, args, kwargs)
    validate(root, check_images=False)
    warn_unnamed(root)
    body = {
        "tree": encode(to_document(root, resolve=True)),
        "title": title or root.title or _name(pipeline),
        "doc": doc,
        "tags": to_tags(tags) or [],
        "run": run,
    }
    key = uuid.uuid4().hex  # the same for each repetition, so that one child is launched
    return ChildPipeline(_patiently(lambda: call("POST", body=body, key=key)))


def get_pipeline(pipeline_id: Union[str, ChildPipeline]) -> ChildPipeline:
    """Return a child of this attempt.

    Args:
        pipeline_id: Its id, or its handle.

    Raises:
        conducto.errors.ApiError: it is not one.
    """
    from urllib.parse import quote  # noqa: PLC0415 - rarely needed

    if isinstance(pipeline_id, ChildPipeline):
        pipeline_id = pipeline_id.id
    if not isinstance(pipeline_id, str):
        raise InvalidArgumentError(f"{pipeline_id!r} is not the id of a pipeline, nor a handle")
    return ChildPipeline(call("GET", quote(pipeline_id, safe="")))


def _patiently(request: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
    """Send a request; repeat it for a minute while the server fails or is unreachable."""
    end = time.monotonic() + RECONNECT_SECONDS
    pause = _FIRST_PAUSE
    while True:
        try:
            return request()
        except AgentUnreachableError:
            if current_target() == "local" or time.monotonic() > end:
                raise
        except ApiError as error:
            temporary = error.status >= _SERVER_ERROR or error.status == _TOO_MANY_REQUESTS
            if not temporary or time.monotonic() > end:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _check_options(target: Optional[str], kwargs: Dict[str, Any]) -> None:
    if target not in (None, current_target()):
        raise InvalidArgumentError(
            f"target: {target!r}; a command launches pipelines on its own target, "
            f"{current_target()!r}"
        )
    for name in _FROM_PARENT:
        if name in kwargs:
            raise InvalidArgumentError(
                f"launch: {name}= is not available in a command; a child has that of its parent, "
                "or the default"
            )


def _name(pipeline: object) -> Optional[str]:
    name = getattr(pipeline, "__name__", "")
    return None if not name or name.startswith("<") else name


def _report(status: Dict[str, Any]) -> str:
    """Return the failed nodes with the ends of their output."""
    lines: List[str] = [f"pipeline {status['id']} ({status['title']}): {status['state']}"]
    for node in status["failed"]:
        lines.append(f"{node['path']}: {node['reason']}")
        lines += ["  " + line for line in (node["tail"] or "").splitlines()]
    return "\n".join(lines)
