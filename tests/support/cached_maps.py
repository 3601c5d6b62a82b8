"""Maps with a cache that the driver expands, on an agent with a fake engine and in the cloud."""

from __future__ import annotations

import asyncio
import json
import shlex
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tests.fakes.engine import FakeEngine, Outcome
from tests.fakes.pipelines import MemorySecrets

from chalicelib.logs.port import LogKey
from conducto.wire.references import ITEM
from conducto_core.cache.model import LineageParams
from conducto_core.programs.history import WhyParams
from conducto_core.results.model import OutputSummary
from conducto_core.run.model.params import PipelineParams, TreeParams
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from support.cached_agent import Machine, agent_at
from support.cloud.world import World
from support.trees import form, leaf, mapped, serial

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from conducto_core.cache.model import CachePlan
    from conducto_core.programs.history import Why
    from conducto_core.run.model.records import AttemptRecord
    from conducto_core.run.model.responses import NodeView


T = TypeVar("T")


def region(code: str, size: int = 1) -> dict[str, Any]:
    """Return an item, whose name is its code and whose result its size."""
    return {"code": code, "size": size}


def map_of(regions: Any, *, command: str = "item", **expand: Any) -> dict[str, Any]:
    """Return a cached pipeline with a map over a list that a command returns."""
    return mapped_from(f"list {shlex.quote(json.dumps(regions))}", command=command, **expand)


def mapped_from(source: str, *, command: str = "item", **expand: Any) -> dict[str, Any]:
    """Return such a pipeline with the command that returns the list."""
    node = {"type": "Exec", "command": f"{command} {ITEM}", **expand.pop("params", {})}
    generate = {"command": "the driver must not run it"}
    group = mapped("m", generate=generate, **{"name": "{item.code}", "node": node, **expand})
    use = leaf("use", command="use", results=["/m"])
    return serial(leaf("plan", command=source), group, use, cache={}, title="t")


@dataclass
class Commands:
    """The commands of such pipelines.

    Attributes:
        files: ``{name: list}`` of ``read NAME``, whose list may change while its text does not.
        failing: The codes of items that fail.
        sizes: ``{code: result}`` of items whose result is not the size in the list.
        ran: ``plan``, ``use``, or the code of an item, in the order in which they ran.
        inputs: The results that ``use`` got last.
    """

    files: dict[str, Any] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    inputs: Any = None

    def run(self, script: str, inputs: str) -> str | None:
        """Return the result of a command, as JSON; None: it failed."""
        words = shlex.split(script)
        match words[-2:]:
            case [*_, "use"]:
                self.ran.append("use")
                self.inputs = json.loads(inputs)["/m"]
                return json.dumps(len(self.inputs))
            case ["list", text]:
                self.ran.append("plan")
                return text
            case ["read", name]:
                self.ran.append("plan")
                return json.dumps(self.files[name])
            case [_, word]:
                item = json.loads(word.partition("=")[2])
                self.ran.append(item["code"])
                size = self.sizes.get(item["code"], item["size"])
                return None if item["code"] in self.failing else json.dumps(size)
        raise AssertionError(script)


class Target(ABC):
    """A target with a cache.

    Attributes:
        commands: The commands of its pipelines.
    """

    def __init__(self) -> None:
        self.commands = Commands()

    @abstractmethod
    def launch(self, tree: dict[str, Any], **options: Any) -> str:
        """Run a pipeline until nothing is left to run, and return its id."""

    @abstractmethod
    def control(self, pipeline: str, action: str, *paths: str, **more: Any) -> tuple[str, ...]:
        """Control it, run it until nothing is left to run, and return the paths that changed."""

    @abstractmethod
    def call(self, operation: str, *arguments: Any) -> Any:
        """Return the response of an operation."""

    @abstractmethod
    def started(self) -> int:
        """Return the number of containers or workers, builds and executions so far."""

    def ran(self) -> list[str]:
        """Return the commands that ran since the last call, sorted."""
        found, self.commands.ran = sorted(self.commands.ran), []
        return found

    def nodes(self, pipeline: str) -> dict[str, NodeView]:
        query = TreeParams(id=pipeline, attempts="all")
        return {each.path: each for each in self.call("get_tree", query).nodes}

    def states(self, pipeline: str) -> dict[str, str]:
        return {path: node.state.value for path, node in self.nodes(pipeline).items()}

    def attempt(self, pipeline: str, path: str) -> AttemptRecord:
        return self.nodes(pipeline)[path].attempts[-1]

    def hits(self, pipeline: str) -> list[str]:
        """Return the paths of the commands that are from the cache."""
        nodes = self.nodes(pipeline).items()
        return [p for p, each in nodes if each.attempts and each.attempts[-1].from_cache]

    def plan(self, tree: dict[str, Any]) -> CachePlan:
        found: CachePlan = self.call("plan_cache", LaunchRequest(tree=form(tree)))
        return found

    def stale(self, pipeline: str) -> dict[str, tuple[str, ...]]:
        """Return ``{path of a stale command: the inputs that have changed}``."""
        found = self.call("get_lineage", LineageParams(id=pipeline))
        return {each.path: each.stale for each in found.nodes if each.stale_count}

    def why(self, pipeline: str, path: str) -> Why:
        found: Why = self.call("get_why", WhyParams(id=pipeline, path=path))
        return found


class Local(Target):
    """An agent with a fake engine."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.machine = Machine(FakeEngine(self._outcome), MemorySecrets())
        self._stack = AsyncExitStack()
        self.agent = self._wait(self._stack.enter_async_context(agent_at(home, self.machine)))

    def close(self) -> None:
        self._wait(self._stack.aclose())
        self.runner.close()

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def _outcome(self, _spec: object, job: Any) -> Outcome:
        result = self.commands.run(job.script, job.inputs)
        return Outcome(code=3) if result is None else Outcome(files={"result": result.encode()})

    def launch(self, tree: dict[str, Any], **options: Any) -> str:
        return self._wait(self.agent.launch_form(form(tree), **options))

    def control(self, pipeline: str, action: str, *paths: str, **more: Any) -> tuple[str, ...]:
        request = ControlRequest(action=Action(action), paths=paths, **more)
        result = self._wait(self.agent.pipelines.control(PipelineParams(id=pipeline), request))
        self._wait(self.agent.settle(pipeline))
        return tuple(result.paths)

    def call(self, operation: str, *arguments: Any) -> Any:
        return self._wait(getattr(self.agent.pipelines, operation)(*arguments))

    def started(self) -> int:
        return len(self.machine.engine.started) + self.machine.builds


class Cloud(Target):
    """The cloud in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    def launch(self, tree: dict[str, Any], **options: Any) -> str:
        pipeline = self.world.launch(tree, **options)
        self._run_out(pipeline)
        return pipeline

    def control(self, pipeline: str, action: str, *paths: str, **more: Any) -> tuple[str, ...]:
        result = self.world.control(pipeline, action, *paths, **more)
        self._run_out(pipeline)
        return tuple(result.paths)

    def _run_out(self, pipeline: str) -> None:
        for _ in range(1000):
            self.world.serve()
            running = self.world.running()
            if not running:
                return
            hand = running[min(running)]
            assert hand.job is not None
            result = self.commands.run(hand.job.script, hand.job.inputs)
            if result is None:
                hand.finish(exit_code=3)
                continue
            key = LogKey(pipeline, hand.job.path, hand.job.attempt, "result")
            self.world.logs.append(key, 0, result.encode())
            hand.finish(exit_code=0, outputs=OutputSummary(result=len(result)))
        raise AssertionError("it does not come to an end")

    def call(self, operation: str, *arguments: Any) -> Any:
        return asyncio.run(getattr(self.world.pipelines(), operation)(*arguments))

    def started(self) -> int:
        return len(self.world.fleet.tasks) + len(self.world.machines.executions)
