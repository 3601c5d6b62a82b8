"""Requests to linked agents, and changes for followers, in a model of AWS's latencies.

The functions' own code runs over ports in memory, and each call of a port advances a clock. The
assumptions are in the constants; 20 ms are a client and a machine in the region's continent.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

from bench.cloud.lab import CloudLab
from chalicelib.services import Services
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.remote.model import Batch
from conducto_core.run import views
from conducto_core.run.operations import CONTROL
from support.cloud.linked_agent import LinkedAgent, RelayWorld
from support.cloud.world import ME, with_ports
from support.trees import leaf

Found = dict[str, float]

#: Seconds: one way through the internet; API Gateway and a warm Lambda; a read or a write of
#: DynamoDB; a post to a WebSocket; the execution of an action by the agent.
_NETWORK, _GATEWAY, _READ, _WRITE, _POST, _AGENT = 0.020, 0.015, 0.006, 0.008, 0.030, 0.010
#: Reads and writes of the methods of ports; others read once.
_CALLS = {
    "number": (0, 1),
    "reserve": (1, 1),
    "release": (0, 1),
    "put_frame": (0, 1),
    "put": (1, 1),
    "put_followed": (0, 1),
    "add": (0, 1),
    "send": (0, 0),
}
#: Dollars in us-east-1: a message of a WebSocket; a request and a GB-second of Lambda; a consistent
#: read and a write of at most 1 kB.
_MESSAGE, _INVOCATION, _GB_SECOND, _READ_PRICE, _WRITE_PRICE = (
    1e-6,
    0.2e-6,
    16.67e-6,
    0.125e-6,
    0.625e-6,
)
_ACTIONS = 50
_AGENTS, _PIPELINES = 100, 10
#: Batches of changes of a pipeline in an hour: one in two seconds.
_BATCHES = 1800


class _Timed:
    """A port whose calls take time."""

    def __init__(self, port: Any, note: Callable[[str], None]) -> None:
        self._port = port
        self._note = note

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args: Any, **more: Any) -> Any:
            self._note(name)
            return found(*args, **more)

        return call


class _Place:
    """A cloud with linked agents.

    Attributes:
        world: Its ports, with the clock ``now``.
        calls: ``{"read", "write", "post": number}``.
    """

    def __init__(self) -> None:
        self.world = RelayWorld()
        self.calls: Counter[str] = Counter()
        names = ("agents", "relays", "connections", "tokens", "audit")
        ports = {name: _Timed(getattr(self.world, name), self._note) for name in names}
        self.world.cloud = with_ports(self.world.cloud, **ports)
        self.world.services = Services(self.world.cloud)
        self.world.api = self.world.services.api(lambda _: MemoryResponses())
        self.sockets = self.world.services.sockets

    def _note(self, method: str) -> None:
        reads, writes = _CALLS.get(method, (1, 0))
        self.calls += Counter(read=reads, write=writes, post=int(method == "send"))
        self.world.now += reads * _READ + writes * _WRITE + (method == "send") * _POST

    @contextmanager
    def elsewhere(self) -> Iterator[list[float]]:
        """Run another function; its time is returned and does not pass here."""
        before, took = self.world.now, [0.0]
        yield took
        took[0], self.world.now = self.world.now - before, before


def action(_lab: CloudLab) -> Found:
    """Send actions to a linked machine, one after another; return their median time."""
    place = _Place()
    agent = LinkedAgent(place.world)
    agent.sockets = place.sockets
    handled = [0.0]
    posted: list[float] = []

    def pause(seconds: float) -> None:
        """Let the agent respond once its response has passed through the other function."""
        place.world.now += seconds
        sent = len(place.world.gateway.sent[agent.connection])
        if sent > len(agent.frames) and not posted:
            posted.append(place.world.now - seconds)
        arrives = (posted or [0.0])[0] + 2 * _NETWORK + _AGENT + _GATEWAY + handled[0]
        if posted and place.world.now >= arrives:
            with place.elsewhere() as took:
                agent.look()
            handled[0] = took[0]
            posted.clear()

    place.world.cloud = with_ports(place.world.cloud, sleep=pause)
    place.world.api = Services(place.world.cloud).api(lambda _: MemoryResponses())
    body, seconds = {"action": "run", "paths": ["/"]}, []
    for _ in range(_ACTIONS):
        place.world.now += 60  # the cached token has expired
        agent.ping()
        agent.look()
        began = place.world.now
        response = place.world.call(CONTROL, id="p1", query={"agent": "laptop"}, body=body)
        if response.status != 200:
            raise AssertionError(f"the action failed: {response.body!r}")
        seconds.append(place.world.now - began + 2 * _NETWORK + _GATEWAY)
    return {"median_ms": 1e3 * median(seconds[1:]), "longest_ms": 1e3 * max(seconds[1:])}


def followed(_lab: CloudLab) -> Found:
    """Pass a batch of changes on for each of ten followed pipelines of 100 agents."""
    place = _Place()
    world = place.world
    batch = _batch(world)
    token = "token of a person"
    for number in range(_AGENTS):
        agent = LinkedAgent(world, f"agent{number}")
        agent.sockets = place.sockets
        for pipeline in range(_PIPELINES):
            page = f"page {number} {pipeline}"
            world.tokens.put(token, replace(ME, token=token), expires=None)
            world.connections.opened(page, token)
            asked = {"subscribe": f"p{pipeline}", "agent": agent.name, "cursor": 0}
            place.sockets.message(page, json.dumps(asked))
        agent.look()
        world.agents_here.append(agent)
    place.calls.clear()
    seconds = []
    for agent in world.agents_here:
        for pipeline in range(_PIPELINES):
            began = world.now
            agent.send(Batch(n=1, pipeline=f"p{pipeline}", batch=batch))
            seconds.append(world.now - began)
    count = len(seconds)
    if place.calls["post"] != 2 * count:
        raise AssertionError(f"{place.calls['post']} posts for {count} batches")
    busy = _GATEWAY + median(seconds)
    price = 3 * _MESSAGE + _INVOCATION + busy * _GB_SECOND
    price += (place.calls["read"] * _READ_PRICE + place.calls["write"] * _WRITE_PRICE) / count
    return {
        "delay_ms": 1e3 * (2 * _NETWORK + busy),
        "requests_per_batch": sum(place.calls.values()) / count,
        "functions_at_once": _AGENTS * _PIPELINES * _BATCHES / 3600 * busy,
        "dollars_per_hour": _AGENTS * _PIPELINES * _BATCHES * price,
    }


def _batch(world: Any) -> Any:
    """Return a batch with one change."""
    pipeline = world.launch(leaf(), run=True)
    with world.engine.reading(ME.org, pipeline) as live:
        change = world.store.changes(pipeline, 0, 1)
        return views.batch(live, change, 0, live.periods)
