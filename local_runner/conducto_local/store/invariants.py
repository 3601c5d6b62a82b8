"""The rules by which every store protects history."""

from collections.abc import Sequence

from conducto_core.model.records import ChangeRow, NodeChange
from conducto_local.store.errors import HistoryError


def check_changes(
    pipeline_id: str, last_seq: int, changes: Sequence[NodeChange | ChangeRow]
) -> None:
    """Raise `HistoryError` unless ``changes`` continue after ``last_seq`` without a gap."""
    for expected, change in enumerate(changes, last_seq + 1):
        if change.seq != expected:
            raise HistoryError(
                f"{change.path}: change {change.seq} of pipeline {pipeline_id!r} is out of "
                f"sequence, expected {expected}; reread the last number"
            )


def overwritten(pipeline_id: str, paths: Sequence[str]) -> HistoryError:
    """Return the error for rejected attempts of a batch with these paths."""
    named = ", ".join(dict.fromkeys(paths[:3]))
    return HistoryError(
        f"{named}: an attempt of pipeline {pipeline_id!r} has ended and must not be overwritten; "
        "give the new one the next number"
    )


def prefix_of(path: str) -> str:
    """Return the common prefix of the paths of all descendants of ``path``."""
    return path if path.endswith("/") else f"{path}/"
