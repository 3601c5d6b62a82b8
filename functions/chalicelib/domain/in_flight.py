"""The attempts in flight of a pipeline. Pure."""

from collections.abc import Iterable, Iterator, MutableMapping
from typing import NamedTuple

from conducto_core.model.nodes import NodeSpec
from conducto_core.model.records import AttemptRecord
from conducto_core.model.states import State
from conducto_core.runtime.commands import as_written
from conducto_core.semantics.attempt_end import changed_record

#: The fields that the records of queued attempts share.
_QUEUED = AttemptRecord(path="/", number=1, state=State.QUEUED)


class _Queued(NamedTuple):
    """An attempt that was queued and has not started."""

    spec: NodeSpec
    number: int
    mem: float | None
    time: float

    def record(self) -> AttemptRecord:
        """Return its record."""
        place = self.spec.placement
        return changed_record(
            _QUEUED,
            path=self.spec.path,
            number=self.number,
            command=as_written(self.spec),
            cpu=place.cpu,
            mem=place.mem if self.mem is None else self.mem,
            queued=self.time,
        )


class InFlight(MutableMapping[str, AttemptRecord]):
    """The records of attempts that are queued or running, by path.

    The record of a queued attempt is made when it is read: those of 100,000 commands that are
    queued at once would take 0.3 s, and 90 MB.
    """

    def __init__(self, records: Iterable[tuple[str, AttemptRecord]] = ()) -> None:
        self._kept: dict[str, AttemptRecord | _Queued] = dict(records)

    def __getitem__(self, path: str) -> AttemptRecord:
        """Return the record of the attempt of a node; raises `KeyError`."""
        found = self._kept[path]
        return found.record() if isinstance(found, _Queued) else found

    def __setitem__(self, path: str, record: AttemptRecord) -> None:
        """Set the record of the attempt of a node."""
        self._kept[path] = record

    def __delitem__(self, path: str) -> None:
        """Remove the attempt of a node; raises `KeyError`."""
        del self._kept[path]

    def __iter__(self) -> Iterator[str]:
        """Yield the paths."""
        return iter(self._kept)

    def __len__(self) -> int:
        """Return the number of attempts."""
        return len(self._kept)

    def queue(self, spec: NodeSpec, number: int, mem: float | None, time: float) -> None:
        """Add an attempt that is queued at ``time``; ``mem`` has the GB of a retry, or None."""
        self._kept[spec.path] = _Queued(spec, number, mem, time)

    def queued_at(self, path: str) -> float | None:
        """Return when an attempt was queued, without its record; raises `KeyError`."""
        found = self._kept[path]
        return found.time if isinstance(found, _Queued) else found.queued
