"""Totals of attempts and runs in the table: one item for each organisation with telemetry."""

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable, Value, compress, decompress
from conducto_core.telemetry.model import Totals


class TableTelemetry:
    """Stores the totals of organisations, each as one document with a version."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def read(self, org: str) -> tuple[Totals | None, int]:
        """Return the totals and the version of the document; None and 0 without any."""
        item = self._table.get(table_keys.telemetry(org))
        if item is None:
            return None, 0
        return Totals.model_validate_json(decompress(item["totals"])), int(item["version"])

    def write(self, org: str, totals: Totals, version: int) -> None:
        """Replace the document that has this version; raises `ConflictError`."""
        data = compress(totals.model_dump_json().encode())
        item: dict[str, Value] = {"totals": data, "version": version + 1}
        key = table_keys.telemetry(org)
        if version == 0:
            self._table.put_where(key, item)
        else:
            self._table.put_where(key, item, "#version = :version", {":version": version})
