"""Named limits in the table: one item for each organisation whose commands use any."""

from collections.abc import Sequence

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable, Value, compress, decompress
from conducto_core.limits.rules import Lease, from_json, to_json


class TableLimits:
    """Stores the leases of an organisation's limits, as one document with a version."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def read(self, org: str) -> tuple[Sequence[Lease], int]:
        """Return the leases and the version of the document; 0 if there is none."""
        item = self._table.get(table_keys.limits(org))
        if item is None:
            return (), 0
        return from_json(decompress(item["leases"]).decode()), int(item["version"])

    def write(self, org: str, leases: Sequence[Lease], version: int) -> None:
        """Replace the document that has this version; raises `ConflictError`.

        An empty document is kept: without it, an old version could be written again.
        """
        data = compress(to_json(leases).encode())
        item: dict[str, Value] = {"leases": data, "version": version + 1}
        key = table_keys.limits(org)
        if version == 0:
            self._table.put_where(key, item)
        else:
            self._table.put_where(key, item, "#version = :version", {":version": version})
