"""The states of partitions, by the pipelines that ran them."""

from datetime import UTC, datetime

import pytest

from conducto_core.errors import DefinitionError, RefusedError
from conducto_core.partitions.model import PartitionAggregate, PartitionState, ProgramPartitions
from conducto_core.partitions.rules import (
    FoundRun,
    PartitionFacts,
    check_partitions,
    key_at,
    merged,
    path_of,
    states_of,
    view,
    with_stale,
)

DAILY = {"kind": "daily", "start": "2026-11-28", "zone": "UTC"}
NOW = datetime(2026, 12, 1, 18, tzinfo=UTC).timestamp()
LETTERS = {"d": PartitionState.DONE, "f": PartitionState.FAILED, "r": PartitionState.RUNNING}


def facts(
    pipeline: str, created: float, *, seq: int = 1, latest: float | None = None, **runs: str
) -> PartitionFacts:
    """Return a backfill; ``d28="df1"``: the letters of its steps, and the number of attempts."""
    found = []
    for name, text in runs.items():
        letters, attempts = text[:-1], int(text[-1])
        worst = next((one for one in "fr" if one in letters), "d")
        state = LETTERS[worst] if attempts else PartitionState.MISSING
        steps = dict(zip(("load", "check"), letters, strict=False))
        found.append(FoundRun(f"2026-11-{name[1:]}", "/", state, steps, attempts))
    return PartitionFacts(pipeline, created, seq, DAILY, latest or created, found)


def seen(*known: PartitionFacts) -> ProgramPartitions:
    aggregate = PartitionAggregate()
    for each in known:
        aggregate = merged(aggregate, each)
    return view(aggregate, NOW, 100)


def test_partitions_that_no_pipeline_ran_are_missing() -> None:
    found = seen(facts("a", 1, d28="dd1", d30="fp1"))

    assert (found.keys, found.states) == (("2026-11-28", "2026-11-29", "2026-11-30"), "dmf")
    assert [(step.name, step.states) for step in found.steps] == [("load", "d-f"), ("check", "d-p")]
    assert (found.at, found.places[0].pipeline) == ((0, -1, 0), "a")
    assert states_of(found)["2026-11-30"] is PartitionState.FAILED


def test_latest_pipeline_determines_the_state() -> None:
    one, other = facts("a", 1, d28="fp1"), facts("b", 2, d28="dd1")

    assert seen(one, other).states == seen(other, one).states == "dmm"


def test_rerun_of_an_older_pipeline_determines_the_state() -> None:
    first, second = facts("a", 1, d28="fp1", d29="dd1"), facts("b", 2, d28="fp1", d29="fp1")
    again = facts("a", 1, seq=2, latest=3, d28="dd2", d29="dd1")

    found = seen(first, second, again)

    assert found.states == "dfm"
    assert [found.places[at].pipeline for at in found.at[:2]] == ["a", "b"]


def test_pipeline_that_has_not_run_changes_nothing() -> None:
    assert seen(facts("a", 1, d28="dd1"), facts("b", 2, d28="pp0", d29="pp0")).states == "dmm"


def test_pipeline_without_a_partition_changes_no_definition() -> None:
    aggregate = merged(PartitionAggregate(), facts("a", 1, d28="dd1"))
    later = PartitionFacts("b", 2, 1, None, 2, ())

    assert merged(aggregate, later).partitions == DAILY
    assert view(PartitionAggregate(), NOW, 10).partitions is None


def test_changed_files_make_a_partition_stale_and_back() -> None:
    aggregate = merged(PartitionAggregate(), facts("a", 1, d28="dd1", d29="dd1"))

    stale = with_stale(aggregate, "a", ["/2026-11-28/check/part"])
    fresh = with_stale(stale, "a", [])

    found = view(stale, NOW, 10)
    assert (found.states, found.steps[1].states) == ("sdm", "sd-")
    assert view(fresh, NOW, 10).states == "ddm"
    assert with_stale(aggregate, "other", ["/2026-11-28"]) == aggregate


def test_newest_partitions_fit_into_a_response() -> None:
    aggregate = merged(PartitionAggregate(), facts("a", 1, d28="dd1"))
    found = view(aggregate, NOW, 2)

    assert (found.keys, found.more) == (("2026-11-29", "2026-11-30"), 1)


def test_steps_are_in_the_order_of_the_newest_pipeline() -> None:
    first = facts("a", 1, d28="dd1")
    run = FoundRun("2026-11-29", "/", PartitionState.DONE, {"new": "d", "check": "d"}, 1)
    second = PartitionFacts("b", 2, 1, DAILY, 2, (run,))

    assert [step.name for step in seen(first, second).steps] == ["new", "check", "load"]


def test_path_of_a_partition() -> None:
    assert path_of(None, "2026-11-28") == "/"
    assert path_of("/", "2026-11-28") == "/2026-11-28"
    assert path_of("/a..b/Execute", "2026-11-28") == "/a..b/Execute/2026-11-28"


def test_due_time_launches_the_newest_partition_that_had_ended() -> None:
    zone = {"kind": "daily", "start": "2026-11-28", "zone": "America/New_York"}
    midnight = datetime(2026, 12, 1, tzinfo=UTC).timestamp()

    assert (key_at(DAILY, midnight), key_at(zone, midnight)) == ("2026-11-30", "2026-11-29")
    assert key_at(DAILY, midnight - 1) == "2026-11-29"
    with pytest.raises(RefusedError, match="no partition had ended by then"):
        key_at(DAILY, 0.0)


@pytest.mark.parametrize(
    "wire", [{"kind": "static", "names": ["a"]}, {"kind": "daily", "start": "x"}, {}]
)
def test_schedule_refuses_partitions_without_times(wire: dict[str, object]) -> None:
    with pytest.raises(DefinitionError):
        check_partitions(wire)
