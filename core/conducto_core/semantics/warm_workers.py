"""Which workers without work stay for the next run of their pipeline. No I/O, no clock.

A worker has the file systems, the token and the role of one pipeline, so only that pipeline can
use it later: a rerun, a reset, or a continuation. An organisation keeps a limited number; those
that became idle last stay, because a user most likely runs their pipeline again.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from conducto_core.model.warm_pool import WarmPool
from conducto_core.semantics.fargate import PRICES, Size


class Kept(NamedTuple):
    """The warm workers of a pipeline.

    Attributes:
        number: How many there are.
        since: When the last of them became idle, in seconds since the epoch.
    """

    number: int
    since: float


def is_over(since: float, pool: WarmPool, now: float) -> bool:
    """Return whether a worker that is warm since a time has stayed long enough."""
    return pool.workers == 0 or now - since >= pool.seconds


def surplus(kept: Mapping[str, Kept], workers: int) -> dict[str, int]:
    """Return ``{pipeline: warm workers to stop}``, so that at most ``workers`` stay in total."""
    found: dict[str, int] = {}
    left = workers
    for name in sorted(kept, key=lambda each: (-kept[each].since, each)):
        stays = min(kept[name].number, left)
        left -= stays
        if stays < kept[name].number:
            found[name] = kept[name].number - stays
    return found


def hourly_price(sizes: Iterable[tuple[Size, int]], workers: int, *, spot: bool = False) -> float:
    """Return the maximum price of an hour of warm workers, in dollars.

    Args:
        sizes: The sizes of a pipeline's workers, and the number of workers of each size.
        workers: Maximum number of warm workers.
        spot: Whether they run on Spot.
    """
    prices = [PRICES.worker_hour(size, spot=spot) for size, number in sizes for _ in range(number)]
    return sum(sorted(prices, reverse=True)[:workers])
