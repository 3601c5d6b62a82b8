"""The states of partitions, in objects of the bucket."""

from chalicelib.run.port import Blobs
from conducto_core.installation.names import PARTITIONS_PREFIX


class PartitionBlobs:
    """A `conducto_core.partitions.handlers.PartitionStore` of one organisation."""

    def __init__(self, blobs: Blobs, org: str) -> None:
        self._blobs = blobs
        self._org = org

    def read(self, name: str) -> bytes | None:
        return self._blobs.get(self._key(name))

    def write(self, name: str, data: bytes) -> None:
        self._blobs.put(self._key(name), data)

    def _key(self, name: str) -> str:
        return f"{PARTITIONS_PREFIX}{self._org}/{name}.json.gz"
