"""Records of an organisation under names: trusts, notification rules and triggers."""

from collections.abc import Callable, Sequence
from typing import Generic

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import DynamoTable
from chalicelib.ports.named_records import R


class TableNamedRecords(Generic[R]):
    """A `chalicelib.ports.named_records.NamedRecords`.

    Args:
        table: The table.
        key: Returns the key of a record by organisation and name.
        model: The class of the records.
    """

    def __init__(
        self, table: DynamoTable, key: Callable[[str, str], table_keys.Key], model: type[R]
    ) -> None:
        self._table = table
        self._key = key
        self._model = model

    def all_of(self, org: str) -> Sequence[R]:
        """Return the records of an organisation, by name."""
        return [self._parsed(item["record"]) for _, item in self._table.below(self._key(org, ""))]

    def get(self, org: str, name: str) -> R | None:
        """Return a record."""
        item = self._table.get(self._key(org, name))
        return None if item is None else self._parsed(item["record"])

    def put(self, org: str, record: R) -> None:
        """Store a record, replacing one of the same name."""
        self._table.put(self._key(org, record.name), {"record": record.model_dump_json()})

    def delete(self, org: str, name: str) -> bool:
        """Delete a record; return whether there was one."""
        return self._table.take(self._key(org, name))

    def _parsed(self, document: object) -> R:
        found: R = self._model.model_validate_json(str(document))
        return found
