"""``co.aio``: the functions of the Python client as coroutine queries."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from conducto_cli.python_client import hosts as connections
from conducto_cli.python_client import launching, queries
from conducto_client.aio import AsyncData, AsyncPipeline, AsyncSecretStore, in_thread
from conducto_client.pipeline import Pipeline
from conducto_client.target import TargetName
from conducto_core.programs.history import PipelineComparison
from conducto_core.programs.model import ContinuePlan

P = ParamSpec("P")
T = TypeVar("T")


def _twin(
    function: Callable[P, Pipeline],
) -> Callable[P, Coroutine[Any, Any, AsyncPipeline]]:
    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> AsyncPipeline:
        return AsyncPipeline(await in_thread(function, *args, **kwargs))

    return call


def _twins(
    function: Callable[P, list[Pipeline]],
) -> Callable[P, Coroutine[Any, Any, list[AsyncPipeline]]]:
    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> list[AsyncPipeline]:
        return [AsyncPipeline(each) for each in await in_thread(function, *args, **kwargs)]

    return call


def _plain(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(function, *args, **kwargs)

    return call


launch = _twin(launching.launch)


@functools.wraps(launching.plan)
async def plan(*args: Any, **kwargs: Any) -> ContinuePlan:
    """Return the commands that ``launch(..., into=...)`` would keep and run."""
    return await in_thread(launching.plan, *args, **kwargs)


async def compare(
    before: str | AsyncPipeline, after: str | AsyncPipeline, **options: Any
) -> PipelineComparison:
    """Return the differences between two pipelines of one target; see ``co.compare``."""
    return await in_thread(queries.compare, before, after, **options)


get_pipeline = _twin(queries.get_pipeline)
latest = _twin(queries.latest)
list_pipelines = _twins(queries.list_pipelines)
metrics = _plain(queries.metrics)


class AsyncConnection:
    """A target: the data of the user and the secrets there."""

    def __init__(self, connection: connections.Connection) -> None:
        self.target = connection.target
        self.data = AsyncData(connection.data)
        self.secrets = AsyncSecretStore(connection.secrets)


def connect(target: TargetName | None = None, *, profile: str | None = None) -> AsyncConnection:
    """Return a target, for the user's data and the secrets; see ``co.connect``."""
    return AsyncConnection(connections.connect(target, profile=profile))
