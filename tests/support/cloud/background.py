"""The function ``background`` of a test's cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.services import Services

if TYPE_CHECKING:
    from support.cloud.world import World


class Background:
    """The function ``background``, whose invocations a test executes.

    Attributes:
        events: Events that were not executed yet, as JSON.
        left: Seconds that an invocation has at each look at the clock; the last value stays.
    """

    def __init__(self, world: World, **ports: Any) -> None:
        self.events: list[str] = []
        self.left = [600.0]
        self._world = world
        self.launch_delay = ports.pop("launch_delay", lambda _number: 0.0)
        world.cloud = world.over(
            invoke_background=self._invoke, launch_delay=self._reserve, **ports
        )
        world.services = Services(world.cloud)

    def _invoke(self, event: BackgroundEvent) -> None:
        self.events.append(event.model_dump_json(exclude_defaults=True))

    def _reserve(self, number: int) -> float:
        return self.launch_delay(number)

    def seconds(self) -> float:
        """Return the seconds that an invocation has left."""
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def run(self) -> BackgroundEvent:
        """Execute the oldest event in a new process, and return it."""
        event = BackgroundEvent.model_validate_json(self.events.pop(0))
        services = Services(self._world.cloud)
        if event.effects is not None:
            services.engine.deferred.execute(event.effects, self.seconds)
        if event.checks is not None:
            services.reconciler.check(event.checks, self.seconds)
        return event

    def run_all(self) -> None:
        while self.events:
            self.run()
