"""The client's stream of changes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto_client import Client
from conducto_core.api.dispatch import Service
from conducto_core.run.model.records import Counts, NodeChange, PipelineRecord
from conducto_core.run.model.requests import EventBatch, PipelineSummary
from conducto_core.run.model.states import State
from conducto_core.tree.model import NodeType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def frame(*numbers: int) -> bytes:
    changes = [
        NodeChange(seq=n, time=0.0, path="/", type=NodeType.SERIAL, state=State.RUNNING)
        for n in numbers
    ]
    record = PipelineRecord(id="abc", title="")
    state = State.RUNNING
    summary = PipelineSummary(
        pipeline=record, state=state, counts=Counts(), settled=False, seq=numbers[-1]
    )
    return EventBatch(changes=tuple(changes), pipeline=summary).model_dump_json().encode()


class Repeating(InProcessTransport):
    """Sends some changes twice, as two functions do that push at the same time."""

    def stream(
        self, path: str, query: Mapping[str, str], *, heartbeat: float | None = None
    ) -> Iterator[bytes]:
        yield from (frame(1, 2), frame(2, 3), frame(1, 2, 3), frame(4))


def test_events_have_each_change_once() -> None:
    with Repeating(Service(MemoryPipelines())) as transport:
        batches = islice(Client(transport).events("abc"), 4)

        assert [[change.seq for change in batch.changes] for batch in batches] == [
            [1, 2],
            [3],
            [],
            [4],
        ]
