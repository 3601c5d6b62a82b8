"""The cost of what a pipeline stores, by month, as AWS bills it.

AWS charges storage by gigabytes (2**30 bytes) and months: a gigabyte that is stored for half of
November costs half of a month's price. Sizes are known only at some moments, so a size that has
changed between two of them counts with its mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from conducto_core.semantics.fargate import PRICES

GB = 2**30
#: Bytes of an attempt's records in the table: the attempt, its changes and its output, if small.
RECORD_BYTES = 2500
#: Seconds for which the bucket keeps deleted objects (`infra.stacks.data`).
KEPT_SECONDS = 14 * 86_400.0


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored bytes.

    Attributes:
        objects: In the bucket: definitions, journals, output and results.
        files: In the file system: a pipeline's data.
        records: In the table, an estimate.
    """

    objects: int = 0
    files: int = 0
    records: int = 0

    @property
    def month_dollars(self) -> float:
        """The price of storing them for a month."""
        return (
            self.objects * PRICES.object_month
            + self.files * PRICES.file_month
            + self.records * PRICES.record_month
        ) / GB


def storage_dollars(before: Stored, after: Stored, began: float, ended: float) -> dict[str, float]:
    """Return ``{month: dollars}`` of the storage between two times.

    Args:
        before: The sizes at ``began``.
        after: The sizes at ``ended``.
        began: In seconds since the epoch.
        ended: In seconds since the epoch; without effect if before ``began``.
    """
    price = (before.month_dollars + after.month_dollars) / 2
    return {month: share * price for month, share in month_shares(began, ended)}


def month_shares(began: float, ended: float) -> Iterator[tuple[str, float]]:
    """Yield each month (UTC) between two times, with the share of it that is between them."""
    while began < ended:
        start = datetime.fromtimestamp(began, UTC).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        following = (start + timedelta(days=32)).replace(day=1)
        until = min(ended, following.timestamp())
        yield f"{start:%Y-%m}", (until - began) / (following - start).total_seconds()
        began = until
