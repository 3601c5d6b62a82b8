"""Recorded games of our interpreter, for replay by other interpreters.

A game is a machine that runs without an API (`support.asl.alone`): the workers' replies to each
node determine everything, so every interpreter must start the same nodes with the same inputs and
end with the same result.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from conducto_core.asl.rules.compiler import Machine
from conducto_core.asl.rules.naming import execution_input
from support.asl.alone import Alone, Script
from support.asl.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conducto_core.asl.rules.partition import Size
    from conducto_core.tree.model import Pipeline
    from support.asl.port import Offer

#: Seconds without a new task after which an execution must have reached its Wait, and seconds after
#: which one that must end is given up.
REST, GIVE_UP = 1.0, 60.0


@dataclass
class Recorder(Interpreter):
    """An interpreter that records its inputs.

    Attributes:
        machines: ``{arn: definition}``.
        top: ARN of the machine that was started first.
        replies: ``{node: {"output": ...} or {"error": name}}``.
    """

    machines: dict[str, Any] = field(default_factory=dict)
    top: str = ""
    replies: dict[str, dict[str, Any]] = field(default_factory=dict)
    _nodes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def create(self, machine: Machine) -> None:
        self.machines[machine.arn] = json.loads(machine.definition)
        super().create(machine)

    def start(self, arn: str, data: Mapping[str, Any]) -> str:
        self.top = arn
        return super().start(arn, data)

    def offers(self) -> list[Offer]:
        found = super().offers()
        self._nodes |= {offer.token: offer.data["n"] for offer in found}
        return found

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        self.replies[self._nodes[token]] = {"output": output}
        super().succeed(token, output)

    def fail(self, token: str, error: str) -> None:
        self.replies[self._nodes[token]] = {"error": error}
        super().fail(token, error)


@dataclass(frozen=True)
class Result:
    """The result of a game in an interpreter.

    Attributes:
        started: The nodes whose tasks were started, sorted.
    """

    status: str
    started: tuple[str, ...]


@dataclass(frozen=True)
class Recording:
    """A game and its result."""

    machines: Mapping[str, Any]
    top: str
    replies: Mapping[str, Mapping[str, Any]]
    result: Result

    def game(self) -> dict[str, Any]:
        """Return the JSON value from which an interpreter can replay it."""
        return {
            "machines": self.machines,
            "top": self.top,
            "input": execution_input("alone"),
            "replies": self.replies,
            "rests": self.result.status == "RUNNING",
        }


def record(tree: Pipeline, seed: int, maximum: Size) -> Recording:
    """Play a game with our interpreter; the seed determines the replies."""
    engine = Recorder()
    played = Alone(tree, engine, Script(seed), maximum).run(Random(seed))
    started = tuple(sorted(engine.replies))
    return Recording(engine.machines, engine.top, engine.replies, Result(played.status, started))


def replay(engine: Any, recording: Recording) -> Result:
    """Run a game in a `support.asl.port.Engine` over HTTP."""
    for arn, definition in recording.machines.items():
        engine.create(Machine(arn.rpartition(":")[2], arn, json.dumps(definition), "/", 1, 1))
    execution = engine.start(recording.top, execution_input("alone"))
    started: list[str] = []
    limit = REST if recording.result.status == "RUNNING" else GIVE_UP
    end = time.monotonic() + limit
    while engine.status(execution) == "RUNNING" and time.monotonic() < end:
        for offer in engine.offers():
            started.append(offer.data["n"])
            _reply(engine, offer.token, recording.replies[offer.data["n"]])
            end = time.monotonic() + limit
        time.sleep(0.005)  # there is no event to wait for
    return Result(engine.status(execution), tuple(sorted(started)))


def _reply(engine: Any, token: str, reply: Mapping[str, Any]) -> None:
    if "error" in reply:
        engine.fail(token, reply["error"])
    else:
        engine.succeed(token, reply["output"])
