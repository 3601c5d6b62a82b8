"""Blocking functions as coroutines: each call runs in a thread of a pool.

The transports block, so the handles do, too, and their ``async`` twins are made from them here. A
call needs no event loop of its own, so the handles work where a loop is running, as in Jupyter.
"""

import asyncio
import functools
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

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
