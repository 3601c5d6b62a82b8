"""Where the operations on tests find quarantines and histories in the cloud."""

from collections.abc import Sequence

from chalicelib.api.caller import CloudCaller
from chalicelib.records import Records
from conducto_core.installation.names import TESTS_PREFIX
from conducto_core.test_results.model import Quarantine


class OrgQuarantines:
    """A `conducto_core.test_results.handlers.QuarantineStore` of one organisation."""

    def __init__(self, records: Records, org: str) -> None:
        self._quarantines = records.quarantines
        self._org = org

    def all(self) -> Sequence[Quarantine]:
        return self._quarantines.list_by_name(self._org)

    def put(self, quarantine: Quarantine) -> None:
        self._quarantines.put(self._org, quarantine)

    def delete(self, name: str) -> bool:
        return self._quarantines.delete(self._org, name)


def history_key(org: str, name: str) -> str:
    """Return the key of the history of a program's tests in the bucket."""
    return f"{TESTS_PREFIX}{org}/{name}.json.gz"


class CloudTests(CloudCaller):
    """The tests of one organisation's pipelines."""

    __test__ = False

    def quarantine_store(self) -> OrgQuarantines:
        return OrgQuarantines(self._records, self._me.org)

    def read_test_history(self, name: str) -> bytes | None:
        return self._storage.blobs.get(history_key(self._me.org, name))

    def write_test_history(self, name: str, data: bytes) -> None:
        self._storage.blobs.put(history_key(self._me.org, name), data)

    def caller_name(self) -> str:
        return self._me.user

    def time_now(self) -> float:
        return self._timing.clock()
