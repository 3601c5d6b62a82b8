"""The states of partitions, in files of the profile."""

from conducto_local.agent.state_dir import StateDir
from conducto_local.test_results.store import read_file, write_file


class PartitionFiles:
    """A `conducto_core.partitions.handlers.PartitionStore`."""

    def __init__(self, home: StateDir) -> None:
        self._directory = home.partition_states

    def read(self, name: str) -> bytes | None:
        return read_file(self._directory / f"{name}.json.gz")

    def write(self, name: str, data: bytes) -> None:
        write_file(self._directory / f"{name}.json.gz", data)
