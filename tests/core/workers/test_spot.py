"""Which workers are Spot tasks."""

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.tree.model import SpotUse
from conducto_core.tree.rules.resolve import resolve
from conducto_core.workers.rules.pools import pool_of
from conducto_core.workers.rules.spot import SpotHistory, on_spot

NEW = co.ContainerReuseContext.NEW


def test_the_share_applies_to_every_ten_workers() -> None:
    workers = [f"w{number:016x}" for number in range(1000)]

    for share in (0, 3, 10):
        spot = sum(on_spot(w, SpotUse.SHARE, share, SpotHistory(), 0.0) for w in workers)
        assert abs(spot - share * 100) < (1 if share in (0, 10) else 60)


@pytest.mark.parametrize(
    ("use", "refused", "otherwise"),
    [
        (SpotUse.SHARE, False, True),
        (SpotUse.FIRST, False, True),
        (SpotUse.ONLY, True, True),
        (SpotUse.NEVER, False, False),
    ],
)
def test_after_a_refusal_workers_start_on_demand_for_a_while(
    use: SpotUse, refused: bool, otherwise: bool
) -> None:
    history = SpotHistory().after_refusal(100.0)

    assert on_spot("w1", use, 10, SpotHistory(), 100.0) is otherwise
    assert on_spot("w1", use, 10, history, 159.0) is refused
    assert on_spot("w1", use, 10, history, 160.0) is otherwise


def test_refusals_in_a_row_double_the_time_on_demand_up_to_ten_minutes() -> None:
    history, now, waits = SpotHistory(), 0.0, []
    for _ in range(6):
        history = history.after_refusal(now)
        waits.append(history.until - now)
        now = history.until
    assert waits == [60, 120, 300, 600, 600, 600]
    assert history.after_refusal(now - 1) == history  # several workers at once


def test_nodes_with_other_values_have_other_pools_and_a_context_is_never_spot() -> None:
    root = co.Parallel(image="busybox", spot=True)
    root["asked"] = co.Exec("true")
    root["only"] = co.Exec("true", spot="only")
    root["never"] = co.Exec("true", spot=False)
    root["group"] = co.Serial(container_reuse_context=NEW)
    root["group/kept"] = co.Exec("true")
    nodes = resolve(to_launch_form(root)).nodes

    pools = {
        path: pool_of(nodes[path], "abc-def", ())
        for path in ("/asked", "/only", "/never", "/group/kept")
    }

    assert [pool.spot.value for pool in pools.values()] == ["first", "only", "never", "never"]
    assert len({pool.name for pool in pools.values()}) == 4


@pytest.mark.parametrize("written", ["yes", "Only", 2, 0.5])
def test_other_values_are_refused(written: object) -> None:
    root = co.Exec("true", image="busybox", spot=written)  # type: ignore[arg-type]

    with pytest.raises((ValueError, DefinitionError), match="spot must be True, False or 'only'"):
        resolve(to_launch_form(root))
