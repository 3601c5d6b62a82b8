"""The named limits of organisations (`conducto_core.semantics.leased_limits`)."""

from collections.abc import Sequence
from typing import Protocol

from conducto_core.semantics.leased_limits import Lease


class LimitRecords(Protocol):
    """Stores the leases of an organisation's limits, as one document with a version."""

    def read(self, org: str) -> tuple[Sequence[Lease], int]:
        """Return the leases and the version of the document; 0 if there is none."""

    def write(self, org: str, leases: Sequence[Lease], version: int) -> None:
        """Replace the document that has this version.

        Raises:
            ConflictError: It has another version.
        """
