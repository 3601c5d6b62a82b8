"""Roll-up of children into their group: by the rules, one child at a time, at little cost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto_core.run.rules.outcomes import Outcome, Rollup
from support.golden import FILES, REMEDY, read
from support.laws import law
from support.roll_up_cases import a, case, parallel, serial

UNFINISHED, OK, FAILED = Outcome.UNFINISHED, Outcome.OK, Outcome.FAILED


def tally(*children, kind="serial", stop=True):
    return Rollup(list(children), serial=kind == "serial", stop_on_error=stop)


# ---- stories ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["serial", "parallel"])
def test_empty_group_is_done(kind):
    assert tally(kind=kind).outcome() is OK


@pytest.mark.parametrize(
    ("children", "stop", "outcome", "next_to_run"),
    [
        pytest.param((UNFINISHED, UNFINISHED), True, UNFINISHED, [0], id="the first one first"),
        pytest.param((OK, UNFINISHED, UNFINISHED), True, UNFINISHED, [1], id="then the second"),
        pytest.param((FAILED, UNFINISHED), True, FAILED, [], id="a failure stops it"),
        pytest.param((FAILED, UNFINISHED), False, UNFINISHED, [1], id="unless it does not stop"),
        pytest.param((FAILED, OK), False, FAILED, [], id="and then it fails at the end"),
        pytest.param((UNFINISHED, FAILED), True, UNFINISHED, [0], id="an early one was reset"),
        pytest.param((OK, OK), True, OK, [], id="all are done"),
    ],
)
def test_a_serial(children, stop, outcome, next_to_run):
    made = tally(*children, stop=stop)

    assert (made.outcome(), made.next_to_run()) == (outcome, next_to_run)


@pytest.mark.parametrize(
    ("children", "outcome", "next_to_run"),
    [
        pytest.param((UNFINISHED, UNFINISHED), UNFINISHED, [0, 1], id="all at once"),
        pytest.param((FAILED, UNFINISHED), UNFINISHED, [1], id="a failure stops nobody"),
        pytest.param((FAILED, OK), FAILED, [], id="it fails when all have ended"),
        pytest.param((OK, OK), OK, [], id="all are done"),
    ],
)
def test_a_parallel(children, outcome, next_to_run):
    made = tally(*children, kind="parallel")

    assert (made.outcome(), made.next_to_run()) == (outcome, next_to_run)


def test_only_the_child_that_holds_back_the_others_may_run_in_a_serial():
    made = tally(OK, UNFINISHED, UNFINISHED)

    assert [made.may_run(i) for i in range(3)] == [False, True, False]


def test_every_child_may_run_in_a_parallel():
    made = tally(OK, UNFINISHED, UNFINISHED, kind="parallel")

    assert [made.may_run(i) for i in range(3)] == [True, True, True]


# ---- laws ---------------------------------------------------------------------------------------

OUTCOMES = st.sampled_from(list(Outcome))
NOTES = st.lists(st.tuples(st.integers(0, 100), OUTCOMES, st.booleans()), max_size=30)


def first_holding(children, *, stop):
    """The definition, over all children."""
    holding = [i for i, c in enumerate(children) if c is UNFINISHED or (stop and c is FAILED)]
    return holding[0] if holding else None


@law(200)
@given(st.lists(OUTCOMES, min_size=1, max_size=8), NOTES, st.booleans(), st.booleans())
def test_one_change_at_a_time_comes_to_the_same_as_all_at_once(children, notes, is_serial, stop):
    kind = "serial" if is_serial else "parallel"
    grown = tally(*children, kind=kind, stop=stop)
    now, warned = list(children), set()
    for place, seen, warns in notes:
        position = place % len(now)
        grown.record(position, seen, warns=warns)
        now[position] = seen
        warned = warned | {position} if warns else warned - {position}

        fresh = tally(*now, kind=kind, stop=stop)

        assert grown.seen == now
        assert grown.warned == warned
        assert set(grown.unfinished) == {i for i, c in enumerate(now) if c is UNFINISHED}
        assert grown.failed == now.count(FAILED)
        assert grown.first_holding() == fresh.first_holding()
        assert grown.outcome() is fresh.outcome()
        assert set(grown.next_to_run()) == set(fresh.next_to_run())
        if is_serial:
            assert grown.first_holding() == first_holding(now, stop=stop)


def test_a_reset_at_the_front_of_a_long_serial_does_not_walk_it_again():
    width = 100_000
    made = tally(*[OK] * width)
    looked_at = Counting(made.seen)
    made.seen = looked_at

    for position in (0, 1, width // 2, width - 1):
        made.record(position, UNFINISHED, warns=False)
        made.outcome()
        made.record(position, OK, warns=False)
        made.outcome()

    assert looked_at.times < 100


class Counting(list):
    """A list that counts the reads of its items."""

    times = 0

    def __getitem__(self, index):
        self.times += 1
        return super().__getitem__(index)

    def __iter__(self):
        raise AssertionError("walked all of it")


# ---- the cases for other readers ----------------------------------------------------------------


def test_the_cases_for_other_readers_are_up_to_date():
    assert FILES["roll_up.json"]() == read("roll_up.json"), REMEDY


def test_the_cases_have_names_of_their_own_and_meet_every_state_of_a_group():
    cases = json.loads(read("roll_up.json"))

    assert len({one["name"] for one in cases}) == len(cases)
    groups = [group for one in cases for group in one["groups"].values()]
    assert {group["state"] for group in groups} == {"pending", "running", "done", "error", "killed"}
    assert {group["warning"] for group in groups} == {True, False}


@pytest.mark.parametrize(
    ("tree", "state", "warning"),
    [
        pytest.param(serial(a("done"), a("error"), a("pending")), "error", False, id="stopped"),
        pytest.param(parallel(a("error"), a("queued")), "running", False, id="in flight"),
        pytest.param(serial(a("killed"), suppress_errors=True), "done", True, id="suppressed"),
        pytest.param(parallel(a("done"), expired=True), "killed", False, id="out of time"),
        pytest.param(serial(a("error", skipped=True)), "done", False, id="skipped"),
    ],
)
def test_case_determines_the_states_of_its_groups(tree, state, warning):
    root = case("any", tree)["groups"]["/"]

    assert (root["state"], root["warning"]) == (state, warning)


def test_a_case_counts_execs_by_state_and_the_skipped_ones_apart():
    tree = serial(parallel(a("error"), a("done"), skipped=True), a("running", skipped=True))

    groups = case("any", tree)["groups"]

    nothing = dict.fromkeys(("pending", "queued", "running", "done", "error", "killed"), 0)
    below = {**nothing, "error": 1, "done": 1, "skipped": 0}
    assert groups["/0"]["counts"] == below
    assert groups["/"]["counts"] == {**below, "running": 1, "skipped": 3}
