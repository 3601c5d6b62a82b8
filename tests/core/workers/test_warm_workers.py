"""Which warm workers stay, and their price."""

import pytest

from conducto_core.workers.model import WarmPool
from conducto_core.workers.rules.fargate import PRICES, Size
from conducto_core.workers.rules.pools import Kept, hourly_price, is_over, surplus

POOL = WarmPool(workers=2, seconds=600)


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (0, {"old": 2, "middle": 1, "new": 2}),
        (1, {"old": 2, "middle": 1, "new": 1}),
        (3, {"old": 2}),
        (4, {"old": 1}),
        (5, {}),
    ],
)
def test_the_workers_that_became_idle_last_stay(workers: int, expected: dict[str, int]) -> None:
    kept = {"old": Kept(2, 10.0), "new": Kept(2, 30.0), "middle": Kept(1, 20.0)}

    assert surplus(kept, workers) == expected


def test_a_worker_stays_for_the_time_of_the_pool() -> None:
    assert not is_over(100.0, POOL, 699.0)
    assert is_over(100.0, POOL, 700.0)
    assert is_over(100.0, WarmPool(), 100.0)


def test_the_price_is_that_of_the_most_expensive_workers() -> None:
    small, large = Size(1, 3), Size(4, 16)

    assert hourly_price([(small, 5), (large, 1)], 2) == pytest.approx(
        PRICES.worker_hour(small) + PRICES.worker_hour(large)
    )
    assert hourly_price([(small, 1)], 9) == PRICES.worker_hour(small)
