"""An engine and its queue and builder, opened when the first pipeline needs it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conducto_core.semantics.admission_queue import AdmissionQueue
from conducto_core.semantics.limits import LimitTable
from conducto_core.semantics.resolve import Limits
from conducto_local.ports import Engine, EngineError, EngineInfo, ImageBuilder


@dataclass(slots=True)
class EngineContext:
    """An engine, the builder of its images, and the queue for its machine.

    Attributes:
        labels: ``{name: value}`` of all resources of this state directory. Leftovers of a dead
            agent are removed by them before the first use.
        make_builder: Makes the builder, once the engine is open.
        table: The named limits, the same for all engines of the agent.
        note: Called with whether opening the engine failed.
        info: Description of the engine; None until `open`.
        dispatcher: The queue; None until `open`.
    """

    engine: Engine
    labels: Mapping[str, str]
    make_builder: Callable[[], ImageBuilder]
    note: Callable[[bool], None] = lambda _failed: None
    info: EngineInfo | None = None
    dispatcher: AdmissionQueue | None = None
    table: LimitTable = field(default_factory=LimitTable)
    _builder: ImageBuilder | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self) -> EngineInfo:
        """Connect to the engine, or reconnect after a loss."""
        async with self._lock:
            if self.info is None:
                try:
                    info = await self.engine.open()
                except EngineError:
                    self.note(True)
                    raise
                self.note(False)
                if self.dispatcher is None:
                    await self.engine.remove_labelled(self.labels)
                    self.dispatcher = AdmissionQueue(
                        cpu=info.cpus, mem=info.memory, gpu=info.gpus, table=self.table
                    )
                self._builder = self.make_builder()
                self.info = info
            return self.info

    def builder(self) -> ImageBuilder:
        """Return a builder for one launch; call `open` first."""
        if self._builder is None:
            raise RuntimeError("the engine was never opened")
        return self._builder.for_launch()

    def lost(self) -> None:
        """Note that the engine was unreachable: reconnect before the next use."""
        self.info = None

    def limits(self) -> Limits:
        """Return the maximum size of a command; call `open` first."""
        if self.info is None:
            raise RuntimeError("the engine is not open")
        return Limits(self.info.cpus, self.info.memory, self.info.gpus)

    def limits_or_none(self) -> Limits | None:
        """Return the limits, or None before the engine was opened."""
        return None if self.info is None else self.limits()

    def queue(self) -> AdmissionQueue:
        """Return the queue; call `open` first."""
        if self.dispatcher is None:
            raise RuntimeError("the engine was never opened")
        return self.dispatcher
