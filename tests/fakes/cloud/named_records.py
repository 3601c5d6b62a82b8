"""Records of organisations under names, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class FakeNamedRecords:
    """A fake `NamedRecords` of any kind."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Any] = {}

    def list_by_name(self, org: str) -> Sequence[Any]:
        return [record for (of, _), record in sorted(self._records.items()) if of == org]

    def get(self, org: str, name: str) -> Any:
        return self._records.get((org, name))

    def put(self, org: str, record: Any) -> None:
        self._records[org, record.name] = record

    def delete(self, org: str, name: str) -> bool:
        return self._records.pop((org, name), None) is not None
