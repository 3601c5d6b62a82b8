"""The services beside the user's container: whether they are ready, and whether one has ended.

All containers of a task share one network address. ECS runs the command ``ready`` of a service as
its health check, and reports the status of containers at the task metadata endpoint.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from conducto.wire.services import Service
from conducto_core.services import rules
from conducto_worker.agent.port import Clock

#: Seconds between two requests for the status of the containers while a command runs.
EVERY_SECONDS = 2.0
_CONNECT_SECONDS = 1.0
_POLL_SECONDS = 0.5
_STOPPED = "STOPPED"


class Services:
    """The services of a worker.

    Args:
        services: The services.
        get: Returns a response of the task metadata endpoint; None if it is not available.
        clock: The worker's clock.
    """

    def __init__(
        self, services: Sequence[Service], get: Callable[[str], Any], clock: Clock
    ) -> None:
        self._services = services
        self._get = get
        self._clock = clock
        self._ready = not services
        self._next = 0.0

    def wait_ready(self, stopped: Callable[[], bool]) -> str | None:
        """Wait until all are ready; return why one is not, or None.

        Args:
            stopped: Returns whether to stop waiting.
        """
        began = self._clock.now()
        waiting = [] if self._ready else list(self._services)
        while waiting and not stopped():
            states = self._states()
            for each in list(waiting):
                state = states.get(each.name, {})
                if state.get("KnownStatus") == _STOPPED:
                    return _ended(each, state)
                if _is_ready(each, state):
                    waiting.remove(each)
                elif self._clock.now() - began > each.ready_timeout:
                    health = state.get("Health") or {}
                    return rules.not_ready(each, None, probe=str(health.get("output") or ""))
            if waiting:
                self._clock.wait(_POLL_SECONDS)
        self._ready = not waiting
        return None

    def places(self) -> bytes:
        """Return a line for each service about the place of its output."""
        task = self._get("/task") if self._services else None
        arn = task.get("TaskARN") if isinstance(task, dict) else None
        return rules.places(self._services, str(arn or "")).encode()

    def failure(self) -> str | None:
        """Return why a service has ended, or None; asks at most every `EVERY_SECONDS`."""
        if not self._services or self._clock.now() < self._next:
            return None
        self._next = self._clock.now() + EVERY_SECONDS
        states = self._states()
        for each in self._services:
            state = states.get(each.name, {})
            if state.get("KnownStatus") == _STOPPED:
                return _ended(each, state)
        return None

    def _states(self) -> dict[str, Mapping[str, Any]]:
        """Return ``{name of a service: state of its container}``."""
        task = self._get("/task")
        containers = task.get("Containers") if isinstance(task, dict) else None
        found = {str(one.get("Name")): one for one in containers or ()}
        return {
            each.name: found[rules.CONTAINER + each.name]
            for each in self._services
            if rules.CONTAINER + each.name in found
        }


def _ended(service: Service, state: Mapping[str, Any]) -> str:
    code = state.get("ExitCode")
    return rules.ended(service, code if isinstance(code, int) else None, None)


def _is_ready(service: Service, state: Mapping[str, Any]) -> bool:
    if service.ready is not None:
        return bool((state.get("Health") or {}).get("status") == "HEALTHY")
    if service.port is None:
        return state.get("KnownStatus") == "RUNNING"
    with (
        suppress(OSError),
        socket.create_connection((rules.LOOPBACK, service.port), _CONNECT_SECONDS),
    ):
        return True
    return False
