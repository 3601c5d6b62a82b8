"""Who comes and goes: an agent that nobody needs for long may end by itself.

Off unless ``CONDUCTO_AGENT_IDLE_HOURS`` says after how many hours without a pipeline that is under
way and without a client. The next launch starts an agent again.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from conducto_core.ports.pipelines import Pipelines
from conducto_local.settings import number_in

logger = logging.getLogger(__name__)

VARIABLE = "CONDUCTO_AGENT_IDLE_HOURS"
_HOUR = 3600.0
#: Seconds between two looks at most.
_LOOK = 60.0

App = Callable[[Any, Any, Any], Awaitable[None]]


class IdleShutdown:
    """An ASGI application that knows when somebody was here last.

    Attributes:
        inside: Requests and streams that are open.
    """

    def __init__(self, app: App, now: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._now = now
        self._left = now()
        self.inside = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on."""
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
        """Return the seconds since the last one left, 0 while somebody is here."""
        return 0.0 if self.inside else self._now() - self._left


def idle_seconds(env: Mapping[str, str] = os.environ) -> float | None:
    """Return after how many seconds an agent ends by itself, None for never.

    Raises:
        AgentSettingError: the variable holds no number from 0 up.
    """
    hours = number_in(env, VARIABLE, default=0.0, meaning="a number of hours", or_zero=True)
    return hours * _HOUR or None


async def stop_when_idle(
    pipelines: Pipelines, attendance: IdleShutdown, after: float | None, stop: asyncio.Event
) -> None:
    """Set ``stop`` when nobody was here for ``after`` seconds and nothing is under way."""
    if after is None:
        return
    while not stop.is_set():
        await asyncio.sleep(min(after / 4, _LOOK))
        if attendance.empty_for() < after:
            continue
        if all(summary.settled for summary in (await pipelines.list()).pipelines):
            logger.info("agent ends: nobody was here", extra={"hours": after / _HOUR})
            stop.set()
