"""What a turn may not do to history: the rules that every store keeps."""

from collections.abc import Sequence

from conducto_core.model.records import AttemptRecord, NodeChange
from conducto_core.model.states import FINISHED
from conducto_local.store.errors import HistoryError
from conducto_local.store.port import ChangeRow


def check_changes(
    pipeline_id: str, last_seq: int, changes: Sequence[NodeChange | ChangeRow]
) -> None:
    """Raise `HistoryError` unless ``changes`` go on from ``last_seq`` without a gap."""
    for expected, change in enumerate(changes, last_seq + 1):
        if change.seq != expected:
            raise HistoryError(
                f"{change.path}: change {change.seq} of pipeline {pipeline_id!r} does not come "
                f"next, {expected} does; read the last number again"
            )


def may_replace(stored: AttemptRecord, new: AttemptRecord) -> bool:
    """Return whether ``new`` may take the place of ``stored``, the same attempt as it stood.

    An attempt that has ended may learn more about itself, not end anew: that would be another
    attempt under its number. `conducto_local.store.rows` says the same in SQL.
    """
    if stored.state not in FINISHED:
        return True
    return (stored.state, stored.ended) == (new.state, new.ended)


def overwritten(pipeline_id: str, paths: Sequence[str]) -> HistoryError:
    """Return the error for attempts that were refused; ``paths`` are those of the turn."""
    named = ", ".join(dict.fromkeys(paths[:3]))
    return HistoryError(
        f"{named}: an attempt of pipeline {pipeline_id!r} that has ended would be overwritten; "
        "give the new one the next number"
    )


def prefix_of(path: str) -> str:
    """Return what the paths of all descendants of ``path`` begin with."""
    return path if path.endswith("/") else f"{path}/"
