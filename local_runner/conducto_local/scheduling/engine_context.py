"""An engine with what belongs to it, opened when the first pipeline needs it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from conducto_core.semantics.admission_queue import AdmissionQueue
from conducto_core.semantics.resolve import Limits
from conducto_local.ports import Engine, EngineError, EngineInfo, ImageBuilder


@dataclass(slots=True)
class EngineContext:
    """One engine, the builder of its images, and the queue for its machine.

    Attributes:
        labels: Sets of labels, ``{name: value}``, of which all that was started for this home bears
            one. What an agent that died has left behind is removed by them before the first use.
        make_builder: Makes the builder, once the engine is open.
        note: Is called with whether opening the engine failed.
        info: What the engine can give; None until `open`.
        dispatcher: The queue; None until `open`.
    """

    engine: Engine
    labels: Sequence[Mapping[str, str]]
    make_builder: Callable[[], ImageBuilder]
    note: Callable[[bool], None] = lambda _failed: None
    info: EngineInfo | None = None
    dispatcher: AdmissionQueue | None = None
    _builder: ImageBuilder | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self) -> EngineInfo:
        """Connect to the engine, again after it was lost.

        Raises:
            EngineError: it cannot be used.
        """
        async with self._lock:
            if self.info is None:
                try:
                    info = await self.engine.open()
                except EngineError:
                    self.note(True)
                    raise
                self.note(False)
                if self.dispatcher is None:
                    for labels in self.labels:
                        await self.engine.remove_labelled(labels)
                    self.dispatcher = AdmissionQueue(cpu=info.cpus, mem=info.memory, gpu=info.gpus)
                self._builder = self.make_builder()
                self.info = info
            return self.info

    def builder(self) -> ImageBuilder:
        """Return a builder for one launch; `open` comes first."""
        if self._builder is None:
            raise RuntimeError("the engine was never opened")
        return self._builder.for_launch()

    def lost(self) -> None:
        """The engine did not answer: connect anew before the next use."""
        self.info = None

    def limits(self) -> Limits:
        """Return the sizes beyond which nothing can start; `open` comes first."""
        if self.info is None:
            raise RuntimeError("the engine is not open")
        return Limits(self.info.cpus, self.info.memory, self.info.gpus)

    def limits_or_none(self) -> Limits | None:
        """Return the limits, or None before the engine was opened."""
        return None if self.info is None else self.limits()

    def queue(self) -> AdmissionQueue:
        """Return the queue; `open` comes first."""
        if self.dispatcher is None:
            raise RuntimeError("the engine was never opened")
        return self.dispatcher
