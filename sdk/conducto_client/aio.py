"""The handles with coroutines as methods.

Each method does what the method of the same name of `Pipeline`, `NodeHandle`, `Data` and
`SecretStore` does, in a thread.
"""

import asyncio
import functools
import os
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Mapping,
)
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, Unpack

from conducto_client.actions import Selection
from conducto_client.data import Data
from conducto_client.nodes import NodeHandle
from conducto_client.pipeline import Pipeline
from conducto_client.secrets import SecretStore
from conducto_client.target import TargetName
from conducto_core.approvals.model import WaitingApproval
from conducto_core.programs.history import PipelineComparison
from conducto_core.run.model.params import Stream
from conducto_core.run.model.records import Counts, ImageRecord, NodeChange, ParentAttempt
from conducto_core.run.model.requests import NodeView, PipelineSummary
from conducto_core.run.model.states import State

# ----------------------------------------------------------------------------------------
# Blocking functions as coroutines: each call runs in a thread of a pool.
#
# The transports block, so the handles do, too, and their ``async`` twins are made from them here. A
# call needs no event loop of its own, so the handles work where a loop is running, as in Jupyter.


P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

#: Threads are started when they are needed; each pipeline that is waited for uses one.
_MAX_THREADS = 128


@functools.cache
def _pool(pid: int) -> ThreadPoolExecutor:
    del pid  # a forked process has none of its parent's threads
    return ThreadPoolExecutor(_MAX_THREADS, "conducto-client")


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
    """Run a function in a thread; return an awaitable of its result."""
    call = functools.partial(function, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(_pool(os.getpid()), call)


class Twin(Generic[S]):
    """The base class of a handle whose methods are coroutines.

    Args:
        inner: The blocking handle.
    """

    def __init__(self, inner: S) -> None:
        self._inner = inner

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._inner == self._inner

    def __hash__(self) -> int:
        return hash(self._inner)

    def __repr__(self) -> str:
        return f"<async {self._inner!r}>"


def awaitable(
    method: Callable[Concatenate[S, P], T],
) -> Callable[Concatenate[Twin[S], P], Coroutine[Any, Any, T]]:
    """Return a method of a blocking handle as a method of its twin."""

    async def call(self: Twin[S], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(method, self._inner, *args, **kwargs)

    functools.update_wrapper(call, method)
    return call


class Stepped(Generic[T]):
    """An asynchronous iterator of the steps of a generator, each in a thread.

    The generator must yield often: a cancelled task returns at once, and the generator is closed
    after its current step.
    """

    def __init__(self, steps: Generator[T, None, None]) -> None:
        self._steps = steps
        self._lock = threading.Lock()
        self._end = object()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        step = await in_thread(self._step)
        if step is self._end:
            raise StopAsyncIteration
        return step  # type: ignore[return-value]  # the end is excluded

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Not awaited: the step that was cancelled may take another second.
        _pool(os.getpid()).submit(self._close)

    def _step(self) -> T | object:
        with self._lock:
            return next(self._steps, self._end)

    def _close(self) -> None:
        with self._lock:
            self._steps.close()


class AsyncNodeHandle(Twin[NodeHandle]):
    """A node of a launched pipeline; see `NodeHandle`. Its properties are in ``view``."""

    @property
    def view(self) -> NodeView:
        """The node as it was when it was read."""
        return self._inner.view

    @property
    def path(self) -> str:
        """Its path."""
        return self._inner.path

    @property
    def state(self) -> State:
        """Its state when it was read."""
        return self._inner.state

    @property
    def exit_code(self) -> int | None:
        """Exit code of the newest attempt when it was read."""
        return self._inner.exit_code

    async def result(self) -> Any:
        """Return the return value of a native function."""
        return await in_thread(lambda: self._inner.result)

    async def refresh(self) -> "AsyncNodeHandle":
        """Read the node again; return it."""
        await in_thread(self._inner.refresh)
        return self

    async def nodes(self, **filters: Unpack[Selection]) -> "list[AsyncNodeHandle]":
        """Return the nodes below it, in definition order."""
        found = await in_thread(self._inner.nodes, **filters)
        return [AsyncNodeHandle(node) for node in found]

    async def follow_logs(
        self, *, stream: Stream = "stdout", attempt: int | None = None
    ) -> AsyncGenerator[str, None]:
        """Yield the lines of an attempt's output until the attempt has ended."""
        steps = Stepped(self._inner._lines(stream, attempt))  # noqa: SLF001
        async with steps:
            async for line in steps:
                if line is not None:
                    yield line

    detail = awaitable(NodeHandle.detail)
    attempts = awaitable(NodeHandle.attempts)
    metrics = awaitable(NodeHandle.metrics)
    artifacts = awaitable(NodeHandle.artifacts)
    resources = awaitable(NodeHandle.resources)
    logs = awaitable(NodeHandle.logs)
    reset = awaitable(NodeHandle.reset)
    rerun = awaitable(NodeHandle.rerun)
    skip = awaitable(NodeHandle.skip)
    unskip = awaitable(NodeHandle.unskip)
    kill = awaitable(NodeHandle.kill)
    rebuild = awaitable(NodeHandle.rebuild)
    modify = awaitable(NodeHandle.modify)
    approve = awaitable(NodeHandle.approve)
    reject = awaitable(NodeHandle.reject)


class AsyncData(Twin[Data]):
    """Data files; see `Data`."""

    list = awaitable(Data.list)
    walk = awaitable(Data.walk)
    read = awaitable(Data.read)
    write = awaitable(Data.write)
    download = awaitable(Data.download)
    upload = awaitable(Data.upload)
    delete = awaitable(Data.delete)


class AsyncSecretStore(Twin[SecretStore]):
    """Secrets; see `SecretStore`."""

    list = awaitable(SecretStore.list)
    set = awaitable(SecretStore.set)
    update = awaitable(SecretStore.update)
    put = awaitable(SecretStore.put)
    delete = awaitable(SecretStore.delete)


class AsyncPipeline(Twin[Pipeline]):
    """A launched pipeline; see `Pipeline`."""

    @property
    def id(self) -> str:
        """Its id."""
        return self._inner.id

    @property
    def title(self) -> str:
        """Its title."""
        return self._inner.title

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return self._inner.tags

    @property
    def program(self) -> str | None:
        """Path of the script that launched it, if known."""
        return self._inner.program

    @property
    def parent(self) -> ParentAttempt | None:
        """The attempt whose command launched it; None if a user did."""
        return self._inner.parent

    @property
    def created(self) -> float:
        """Time of the launch, in seconds since the epoch."""
        return self._inner.created

    @property
    def target(self) -> TargetName:
        """``local`` or ``cloud``."""
        return self._inner.target

    @property
    def data(self) -> AsyncData:
        """The pipeline's data files."""
        return AsyncData(self._inner.data)

    async def summary(self) -> PipelineSummary:
        """Return the current state with counts, images and times."""
        return await in_thread(lambda: self._inner.summary)

    async def state(self) -> State:
        """Return the current state."""
        return (await self.summary()).state

    async def counts(self) -> Counts:
        """Return the number of Execs by state."""
        return (await self.summary()).counts

    async def settled(self) -> bool:
        """Return whether nothing runs, is queued or will start by itself."""
        return (await self.summary()).settled

    async def approvals(self) -> tuple[WaitingApproval, ...]:
        """Return the approvals that wait for a decision, the oldest first; at most 20."""
        return (await self.summary()).approvals

    async def refresh(self) -> "AsyncPipeline":
        """Read the title and the tags again; return the pipeline."""
        await in_thread(self._inner.refresh)
        return self

    async def url(self) -> str:
        """Return the address of its page in the web app."""
        return await in_thread(lambda: self._inner.url)

    async def images(self) -> tuple[ImageRecord, ...]:
        """Return the images, with the states of their builds."""
        return await in_thread(lambda: self._inner.images)

    async def node(self, path: str) -> AsyncNodeHandle:
        """Return a node."""
        return AsyncNodeHandle(await in_thread(self._inner.node, path))

    async def nodes(
        self, pattern: str | None = None, **filters: Unpack[Selection]
    ) -> list[AsyncNodeHandle]:
        """Return nodes in definition order."""
        found = await in_thread(self._inner.nodes, pattern, **filters)
        return [AsyncNodeHandle(node) for node in found]

    async def launch_again(
        self,
        arguments: Mapping[str, Any] = MappingProxyType({}),
        /,
        *,
        same_tree: bool = False,
        run: bool = True,
        title: str | None = None,
        **changes: Any,
    ) -> "AsyncPipeline":
        """Launch a new pipeline from the program of this one; see `Pipeline.launch_again`."""
        given = {**arguments, **changes}
        launch = self._inner.launch_again
        return AsyncPipeline(
            await in_thread(launch, given, same_tree=same_tree, run=run, title=title)
        )

    async def compare(self, other: "AsyncPipeline", *, limit: int = 100) -> PipelineComparison:
        """Return the differences from another pipeline to this one."""
        return await in_thread(self._inner.compare, other._inner, limit=limit)  # noqa: SLF001

    async def follow(self, *, since: int = 0) -> AsyncGenerator[NodeChange, None]:
        """Yield the state changes of nodes in order, until the pipeline has settled."""
        steps = Stepped(self._inner._watcher.follow(since))  # noqa: SLF001
        async with steps:
            async for change in steps:
                if change is not None:
                    yield change

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - it is that of `Pipeline.wait`
        *,
        check: bool = False,
        progress: bool | None = None,
    ) -> State:
        """Wait until the pipeline has settled; return its state. See `Pipeline.wait`."""
        steps = Stepped(self._inner._waiting(timeout, check=check, progress=progress))  # noqa: SLF001
        state = State.PENDING
        async with steps:
            async for now in steps:
                state = now
        return state

    open = awaitable(Pipeline.open)
    export = awaitable(Pipeline.export)
    image_log = awaitable(Pipeline.image_log)
    run = awaitable(Pipeline.run)
    pause = awaitable(Pipeline.pause)
    cancel = awaitable(Pipeline.cancel)
    sleep = awaitable(Pipeline.sleep)
    wake = awaitable(Pipeline.wake)
    archive = awaitable(Pipeline.archive)
    delete = awaitable(Pipeline.delete)
    metrics = awaitable(Pipeline.metrics)
    annotations = awaitable(Pipeline.annotations)
    coverage = awaitable(Pipeline.coverage)
    tests = awaitable(Pipeline.tests)
    reset = awaitable(Pipeline.reset)
    rerun = awaitable(Pipeline.rerun)
    skip = awaitable(Pipeline.skip)
    unskip = awaitable(Pipeline.unskip)
    kill = awaitable(Pipeline.kill)
    rebuild = awaitable(Pipeline.rebuild)
    modify = awaitable(Pipeline.modify)

    def _repr_html_(self) -> str:
        return self._inner._repr_html_()

    def _ipython_display_(self) -> None:
        self._inner._ipython_display_()
