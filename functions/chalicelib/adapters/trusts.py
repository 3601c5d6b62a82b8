"""Trusts in CI runs, in the table."""

from collections.abc import Sequence

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import DynamoTable
from conducto_core.model.sign_in import Trust


class TableTrusts:
    """A `chalicelib.ports.identity.Trusts`."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def all_of(self, org: str) -> Sequence[Trust]:
        """Return the trusts of an organisation, by name."""
        first = table_keys.trust(org, "")
        found = self._table.range(first.partition, first.sort, first.sort + table_keys.LAST)
        return [Trust.model_validate_json(str(item["trust"])) for _, item in found]

    def put(self, org: str, trust: Trust) -> None:
        """Store a trust, replacing one of the same name."""
        self._table.put(table_keys.trust(org, trust.name), {"trust": trust.model_dump_json()})

    def delete(self, org: str, name: str) -> bool:
        """Delete a trust; return whether there was one."""
        return self._table.take(table_keys.trust(org, name))
