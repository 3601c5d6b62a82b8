"""Batches and summaries fit into frames, whatever a pipeline contains."""

from conducto_core.remote.model import MAX_FRAME
from conducto_core.run.model.records import (
    Counts,
    ImageRecord,
    ImageState,
    NodeChange,
    PipelineRecord,
)
from conducto_core.run.model.requests import EventBatch, PipelineSummary
from conducto_core.run.model.states import NodeType, State
from conducto_local.remote.follow import fitting
from conducto_local.remote.summaries import brief


def _summary(**fields: object) -> PipelineSummary:
    record = PipelineRecord.model_validate({"id": "p", "title": "t", **fields})
    return PipelineSummary(
        pipeline=record, state=State.RUNNING, counts=Counts(), settled=False, seq=1
    )


def _changes(count: int) -> tuple[NodeChange, ...]:
    return tuple(
        NodeChange(
            seq=number, path=f"/group/{number}", type=NodeType.EXEC, state=State.DONE, time=1.0
        )
        for number in range(1, count + 1)
    )


def test_large_batch_keeps_all_changes_in_order_and_counts_last() -> None:
    counts = {f"/group {number}": Counts() for number in range(300)}
    batch = EventBatch(changes=_changes(2000), counts=counts, pipeline=_summary())

    parts = list(fitting(batch))

    assert len(parts) > 2
    assert all(len(part.model_dump_json().encode()) <= MAX_FRAME - 500 for part in parts)
    assert tuple(change for part in parts for change in part.changes) == batch.changes
    assert {path for part in parts for path in part.counts} == set(counts)
    last_change = max(number for number, part in enumerate(parts) if part.changes)
    assert all(not part.counts for part in parts[:last_change])


def test_small_batch_is_sent_as_it_is() -> None:
    batch = EventBatch(changes=_changes(3), pipeline=_summary())

    assert list(fitting(batch)) == [batch]


def test_batch_with_a_huge_summary_fits() -> None:
    image = ImageRecord(name="i", state=ImageState.ERROR, error="é" * 50_000)
    summary = _summary(doc="d" * 50_000, arguments={"a": "b" * 50_000}, tags=["t" * 50_000])
    batch = EventBatch(changes=_changes(1), images=(image,), pipeline=summary)

    parts = list(fitting(batch))

    assert all(len(part.model_dump_json().encode()) <= MAX_FRAME - 500 for part in parts)
    assert [change.seq for part in parts for change in part.changes] == [1]


def test_summary_loses_only_the_parts_that_do_not_fit() -> None:
    small = _summary(doc="short", tags=["kept"])
    documented = _summary(doc="d" * 50_000, tags=["kept"])

    assert brief(small) == small
    assert brief(documented).pipeline.doc is None
    assert brief(documented).pipeline.tags == ("kept",)
