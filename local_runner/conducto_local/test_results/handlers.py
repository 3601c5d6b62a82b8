"""Where the operations on tests find quarantines and histories on this machine."""

import time

from conducto_local.approvals.handlers import current_decider
from conducto_local.run.access import LocalAccess
from conducto_local.test_results.store import QuarantineFile, read_file, write_file


class LocalTests(LocalAccess):
    """The tests of the pipelines on this machine."""

    __test__ = False

    def quarantine_store(self) -> QuarantineFile:
        return QuarantineFile(self._home.quarantines)

    def read_test_history(self, name: str) -> bytes | None:
        return read_file(self._home.test_histories / f"{name}.json.gz")

    def write_test_history(self, name: str, data: bytes) -> None:
        write_file(self._home.test_histories / f"{name}.json.gz", data)

    def caller_name(self) -> str:
        return current_decider().user

    def time_now(self) -> float:
        return time.time()
