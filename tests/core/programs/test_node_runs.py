"""The usual time of a node, and the run from which on it changed."""

import pytest

from conducto_core.programs.history import ChangedField, RunOfNode
from conducto_core.programs.rules.fingerprints import FIELDS
from conducto_core.programs.rules.node_runs import Usual, usual_times, with_changes
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import State


def runs_of(*seconds: float | None, failed: tuple[int, ...] = ()) -> list[RunOfNode]:
    """Return runs, the newest first, of seconds from the oldest to the newest."""
    runs = [
        RunOfNode(
            pipeline=f"p{place}",
            created=float(place),
            state=State.ERROR if place in failed else State.DONE,
            seconds=each,
        )
        for place, each in enumerate(seconds)
    ]
    return runs[::-1]


def test_usual_time_is_the_median_of_the_other_runs_that_passed():
    runs = runs_of(1.0, 2.0, 100.0, 3.0, 60.0, failed=(2,))

    assert usual_times(runs, "p4") == Usual(usual=2.0)
    assert usual_times(runs_of(4.0), "p0") == Usual()
    assert usual_times([], "p0") == Usual()


def test_runs_from_the_cache_do_not_count():
    runs = [each.model_copy(update={"from_cache": "p0"}) for each in runs_of(0.0, 0.0)]

    assert usual_times([*runs, *runs_of(5.0)], "other") == Usual(usual=5.0)


def test_percentile_needs_five_runs():
    assert usual_times(runs_of(1, 2, 3, 4, 9), "p4").slow is None
    assert usual_times(runs_of(1, 2, 3, 4, 5, 9), "p5").slow == 5
    assert usual_times(runs_of(*range(1, 101), 9), "p100").slow == 95


@pytest.mark.parametrize(
    ("seconds", "since", "before"),
    [
        ((1, 1.1, 1, 5, 5.1, 4.9), "p3", 1),
        ((5, 5.2, 5, 4.9, 1, 1.1, 1), "p4", 5),
        ((1, 1.2, 6, 1, 1.1, 1, 1, 1, 1, 5, 5.1, 4.9), "p9", 1),
        ((1, 1.1, 1, 5, 5.1), None, None),
        ((1, 1, 1, 1, 1, 1), None, None),
        ((0.1, 0.1, 0.1, 0.5, 0.5, 0.5), None, None),
        ((1, 9, 1, 9, 1, 9, 1, 9), None, None),
        ((), None, None),
    ],
)
def test_change_is_the_first_run_that_takes_another_time(seconds, since, before):
    found = usual_times(runs_of(*seconds), "none")

    assert (found.since, found.before) == (since, before)


def test_changed_inputs_are_those_since_the_run_before():
    def attempt(command: str, digest: str | None) -> AttemptRecord:
        fingerprint = None if digest is None else f"{digest}{' x' * (len(FIELDS) - 1)}"
        return AttemptRecord(
            path="/a", number=1, state=State.DONE, command=command, fingerprint=fingerprint
        )

    runs = runs_of(1, 1, 1, 1)
    attempts = [attempt("new", "b"), attempt("new", "b"), attempt("old", "a"), attempt("x", None)]

    found = with_changes(runs, attempts)

    assert [each.comparable for each in found] == [True, True, False, False]
    field = (ChangedField(field=FIELDS[0]),)
    assert [each.changed for each in found] == [(), field, field, ()]
    assert with_changes(runs, [None] * 4) == runs
