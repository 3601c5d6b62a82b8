"""Shutdown of an agent that is not in use.

Disabled unless ``CONDUCTO_AGENT_IDLE_HOURS`` is set: the number of hours without an active pipeline
and without a client. The next launch starts an agent again.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from conducto_core.api.pipelines import Pipelines
from conducto_core.run.model.params import ListParams
from conducto_local.agent.state_dir import number_in

logger = logging.getLogger(__name__)

VARIABLE = "CONDUCTO_AGENT_IDLE_HOURS"
_HOUR = 3600.0
#: Maximum seconds between two checks.
_LOOK = 60.0

App = Callable[[Any, Any, Any], Awaitable[None]]


class IdleShutdown:
    """An ASGI application that records its last use.

    Attributes:
        inside: Number of open requests and streams.
    """

    def __init__(self, app: App, now: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._now = now
        self._left = now()
        self.inside = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":  # open as long as the server is
            await self._app(scope, receive, send)
            return
        self.inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.inside -= 1
            self._left = self._now()

    def empty_for(self) -> float:
        """Return the seconds since the last request ended, 0 while there are open requests."""
        return 0.0 if self.inside else self._now() - self._left


def idle_seconds(env: Mapping[str, str] = os.environ) -> float | None:
    """Return the seconds after which an idle agent stops, None for never.

    Raises:
        AgentSettingError: The variable is not a number of at least 0.
    """
    hours = number_in(env, VARIABLE, default=0.0, meaning="a number of hours", or_zero=True)
    return hours * _HOUR or None


async def stop_when_idle(
    pipelines: Pipelines,
    attendance: IdleShutdown,
    after: float | None,
    stop: asyncio.Event,
    is_needed: Callable[[], bool] = lambda: False,
) -> None:
    """Set ``stop`` after ``after`` seconds without a client and without an active pipeline.

    An agent that is needed stays: a linked one waits for requests.
    """
    if after is None:
        return
    while not stop.is_set():
        await asyncio.sleep(min(after / 4, _LOOK))
        if attendance.empty_for() < after or is_needed():
            continue
        if all(
            summary.settled for summary in (await pipelines.list_pipelines(ListParams())).pipelines
        ):
            logger.info("idle agent stops", extra={"hours": after / _HOUR})
            stop.set()
