"""The number of workers launched for queued attempts."""

from __future__ import annotations

import pytest

from conducto_core.workers.rules.pools import Need, Pool, PoolWorkers, workers_wanted

SHARED = Pool("p", "shared", "i", 1, 2)
NARROW = Pool("n", "shared", "i", 1, 2, ("/g", "/"))
CONTEXT = Pool("c", "context:/g", "i", 1, 2)


@pytest.mark.parametrize(
    ("queued", "pool_workers", "wanted"),
    [
        (3, PoolWorkers(), 3),
        (3, PoolWorkers(starting=1, idle=1), 1),
        (3, PoolWorkers(busy=5), 3),
        (3, PoolWorkers(idle=9), 0),
        (0, PoolWorkers(), 0),
        (5000, PoolWorkers(), 1000),
        (5000, PoolWorkers(busy=990, starting=5), 5),
    ],
)
def test_a_worker_for_every_command_that_has_none(
    queued: int, pool_workers: PoolWorkers, wanted: int
) -> None:
    assert workers_wanted([Need(SHARED, queued)], {"p": pool_workers}, {}).get("p", 0) == wanted


def test_blocked_group_launches_no_worker() -> None:
    need = Need(NARROW, 10)
    assert workers_wanted([need], {}, {"/g": 2, "/": 5}) == {"n": 2}
    assert workers_wanted([need], {}, {"/g": 2, "/": 1}) == {"n": 1}
    assert workers_wanted([need], {}, {"/g": 0, "/": 5}) == {}
    assert workers_wanted([need], {}, {"/g": -1, "/": 5}) == {}


def test_pools_of_one_group_share_its_room_and_the_first_gets_it() -> None:
    other = Pool("o", "shared", "j", 1, 2, ("/",))
    both = [Need(NARROW, 2), Need(other, 2)]
    assert workers_wanted(both, {}, {"/g": 9, "/": 3}) == {"n": 2, "o": 1}


def test_a_context_has_one_worker() -> None:
    assert workers_wanted([Need(CONTEXT, 3)], {}, {}) == {"c": 1}
    assert workers_wanted([Need(CONTEXT, 3)], {"c": PoolWorkers(busy=1)}, {}) == {}


def test_unbuilt_image_launches_no_worker() -> None:
    assert workers_wanted([Need(SHARED, 3, ready=False)], {}, {}) == {}
