"""The named limits of organisations, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import ConflictError
from conducto_core.limits.rules import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conducto_core.limits.rules import Lease


class FakeLimits:
    """A fake `LimitRecords`."""

    def __init__(self) -> None:
        self._documents: dict[str, tuple[str, int]] = {}

    def read(self, org: str) -> tuple[Sequence[Lease], int]:
        document, version = self._documents.get(org, ("[]", 0))
        return from_json(document), version

    def write(self, org: str, leases: Sequence[Lease], version: int) -> None:
        if self._documents.get(org, ("[]", 0))[1] != version:
            raise ConflictError(f"the limits of {org} have another version than {version}")
        self._documents[org] = (to_json(leases), version + 1)
