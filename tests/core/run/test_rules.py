"""The truth tables of every policy. They are the specification: edit them first."""

from itertools import product

import pytest

from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.outcomes import (
    RETRIES,
    Decision,
    Failure,
    FailureDecision,
    Outcome,
    cause_of_exit,
    decide_failure,
    group_outcome,
    group_state,
    group_warns,
    holds_back_siblings,
    retries_loss,
    seen_by_parent,
    state_of,
    suppress,
)
from conducto_core.tree.model import Callback

UNFINISHED, OK, FAILED = Outcome.UNFINISHED, Outcome.OK, Outcome.FAILED
PENDING, QUEUED, RUNNING, DONE, ERROR, KILLED = State
BOTH = (False, True)


def word(value):
    """A value as it reads in the name of a case."""
    if isinstance(value, (State, Outcome, Cause)):
        return value.name.lower()
    return {None: "none", True: "yes", False: "no"}.get(value, str(value))


def table(names, rows):
    """Parametrise by a truth table ``{case: answer}``; a test's name reads as the row."""
    names = names.split()

    def name(case, response):
        asked = " ".join(f"{n}={word(v)}" for n, v in zip(names, case, strict=True))
        return f"{asked} is {word(response)}"

    return pytest.mark.parametrize(
        (*names, "response"),
        [pytest.param(*case, response, id=name(case, response)) for case, response in rows.items()],
    )


SEEN = {
    (PENDING, False): UNFINISHED,
    (QUEUED, False): UNFINISHED,
    (RUNNING, False): UNFINISHED,
    (DONE, False): OK,
    (ERROR, False): FAILED,
    (KILLED, False): FAILED,
    (PENDING, True): OK,
    (QUEUED, True): UNFINISHED,
    (RUNNING, True): UNFINISHED,
    (DONE, True): OK,
    (ERROR, True): OK,
    (KILLED, True): OK,
}


@table("state skipped", SEEN)
def test_state_and_skip_decide_how_a_parent_sees_a_child(state, skipped, response):
    assert seen_by_parent(state, skipped=skipped) is response


HOLDS_BACK = {
    (UNFINISHED, True): True,
    (UNFINISHED, False): True,
    (OK, True): False,
    (OK, False): False,
    (FAILED, True): True,
    (FAILED, False): False,
}


@table("child stop_on_error", HOLDS_BACK)
def test_failed_child_of_a_serial_blocks_later_ones_with_stop_on_error(
    child, stop_on_error, response
):
    assert holds_back_siblings(child, stop_on_error=stop_on_error) is response


ADDED_UP = {
    (None, False, False): OK,
    (None, False, True): FAILED,
    (None, True, False): UNFINISHED,
    (None, True, True): UNFINISHED,
    **{(UNFINISHED, *rest): UNFINISHED for rest in product(BOTH, BOTH)},
    **{(FAILED, *rest): FAILED for rest in product(BOTH, BOTH)},
}


@table("holding any_unfinished any_failed", ADDED_UP)
def test_group_state_follows_from_its_children(holding, any_unfinished, any_failed, response):
    outcome = group_outcome(holding, any_unfinished=any_unfinished, any_failed=any_failed)

    assert outcome is response


GROUP_STATES = {
    (UNFINISHED, False, False): PENDING,
    (OK, False, False): DONE,
    (FAILED, False, False): ERROR,
    **{(children, False, True): KILLED for children in Outcome},
    **{(children, True, expired): RUNNING for children in Outcome for expired in BOTH},
}


@table("children in_flight expired", GROUP_STATES)
def test_the_state_of_a_group(children, in_flight, expired, response):
    assert group_state(children, in_flight=in_flight, expired=expired) is response


SUPPRESSED = {
    **{(state, False): (state, False) for state in State},
    (PENDING, True): (PENDING, False),
    (QUEUED, True): (QUEUED, False),
    (RUNNING, True): (RUNNING, False),
    (DONE, True): (DONE, False),
    (ERROR, True): (DONE, True),
    (KILLED, True): (DONE, True),
}


@pytest.mark.parametrize(
    ("state", "suppress_errors", "shown", "warns"),
    [
        pytest.param(*case, *response, id=f"{word(case[0])} suppress_errors={word(case[1])}")
        for case, response in SUPPRESSED.items()
    ],
)
def test_suppress_errors_turns_an_error_into_done(state, suppress_errors, shown, warns):
    assert suppress(state, suppress_errors=suppress_errors) == (shown, warns)


WARNS = {
    **{(state, *rest): False for state in State for rest in product(BOTH, BOTH)},
    (DONE, True, False): True,
    (DONE, False, True): True,
    (DONE, True, True): True,
}


@table("state own any_child_warns", WARNS)
def test_warning_is_set_on_the_suppressing_group(state, own, any_child_warns, response):
    assert group_warns(state, own=own, any_child_warns=any_child_warns) is response


@pytest.mark.parametrize(
    ("rows", "domain"),
    [
        pytest.param(SEEN, (State, BOTH), id="seen_by_parent"),
        pytest.param(HOLDS_BACK, (Outcome, BOTH), id="holds_back_siblings"),
        # A child that is ok holds back nobody.
        pytest.param(ADDED_UP, ((None, UNFINISHED, FAILED), BOTH, BOTH), id="group_outcome"),
        pytest.param(GROUP_STATES, (Outcome, BOTH, BOTH), id="group_state"),
        pytest.param(SUPPRESSED, (State, BOTH), id="suppress"),
        pytest.param(WARNS, (State, BOTH, BOTH), id="group_warns"),
    ],
)
def test_a_table_has_every_case(rows, domain):
    assert set(rows) == set(product(*domain))


@pytest.mark.parametrize(
    ("exit_code", "cause"),
    [
        pytest.param(0, None, id="zero is success"),
        pytest.param(1, Cause.EXIT_CODE, id="one"),
        pytest.param(137, Cause.EXIT_CODE, id="137 by itself does not say out of memory"),
        pytest.param(-9, Cause.EXIT_CODE, id="ended by a signal"),
        pytest.param(None, Cause.EXIT_CODE, id="no exit code is no success"),
    ],
)
def test_the_cause_that_an_exit_code_means(exit_code, cause):
    assert cause_of_exit(exit_code) is cause


ENDS = {
    (None,): DONE,
    (Cause.EXIT_CODE,): ERROR,
    (Cause.IMAGE,): ERROR,
    (Cause.LAZY,): ERROR,
    (Cause.INPUT,): ERROR,
    (Cause.SERVICE,): ERROR,
    (Cause.NO_WORKER,): ERROR,
    (Cause.NO_CAPACITY,): ERROR,
    (Cause.TIMEOUT,): KILLED,
    (Cause.OUT_OF_MEMORY,): KILLED,
    (Cause.WORKER_LOST,): KILLED,
    (Cause.SPOT,): KILLED,
    (Cause.KILLED_BY_USER,): KILLED,
    (Cause.SPEND_LIMIT,): KILLED,
    (Cause.BUDGET,): KILLED,
    (Cause.REJECTED,): ERROR,
    (Cause.APPROVAL_TIMEOUT,): KILLED,
}


@table("cause", ENDS)
def test_the_state_an_attempt_ends_in(cause, response):
    assert state_of(cause) is response


def test_every_cause_has_a_state_to_end_in():
    assert {case[0] for case in ENDS} == {None, *Cause}


# ---- reactions to a failure ---------------------------------------------------------------------


def failure(cause=Cause.EXIT_CODE, *, state=None, tries=1, mem=2.0, seconds=1.0, below=1):
    return Failure(state or state_of(cause), cause, tries, mem, seconds, failed_below=below)


def on_error(name, **arguments):
    return Callback("error", name, arguments)


def on_killed(name, **arguments):
    return Callback("killed", name, arguments)


FAIL, SKIP, RETRY = (
    Decision(FailureDecision.FAIL),
    Decision(FailureDecision.SKIP),
    Decision(FailureDecision.RETRY),
)

RETRY_2 = on_error("retry", max_num_retries=2)
SKIP_2 = on_error("retry_then_skip", max_num_retries=2)
DOUBLE_2 = on_error("retry_with_double_mem", max_num_retries=2)
FORGIVE_2 = on_error("skip_some_errors", max_num_errors=2)


@pytest.mark.parametrize(
    ("callback", "tries", "decision"),
    [
        pytest.param(RETRY_2, 1, RETRY, id="retry(2) after the first attempt"),
        pytest.param(RETRY_2, 2, RETRY, id="retry(2) after the second"),
        pytest.param(RETRY_2, 3, FAIL, id="retry(2) gives up after the third"),
        pytest.param(on_error("retry", max_num_retries=0), 1, FAIL, id="retry(0) never retries"),
        pytest.param(SKIP_2, 2, RETRY, id="retry_then_skip(2) after the second attempt"),
        pytest.param(SKIP_2, 3, SKIP, id="retry_then_skip(2) skips after the third"),
        pytest.param(
            on_error("retry_then_skip", max_num_retries=0), 1, SKIP, id="retry_then_skip(0)"
        ),
        pytest.param(
            DOUBLE_2, 1, Decision(FailureDecision.RETRY, 4.0), id="double_mem(2) first: twice 2"
        ),
        pytest.param(DOUBLE_2, 3, FAIL, id="double_mem(2) gives up after the third"),
    ],
)
def test_how_often_a_failure_is_retried(callback, tries, decision):
    assert decide_failure([callback], failure(tries=tries)) == decision


def test_memory_doubles_from_the_limit_of_the_attempt():
    decision = decide_failure([DOUBLE_2], failure(tries=2, mem=4.0))

    assert decision == Decision(FailureDecision.RETRY, 8.0)


@pytest.mark.parametrize(
    ("below", "decision"),
    [
        pytest.param(0, FAIL, id="nothing below failed: there is nothing to forgive"),
        pytest.param(1, SKIP, id="one of at most two"),
        pytest.param(2, SKIP, id="two of at most two"),
        pytest.param(3, FAIL, id="three are too many"),
    ],
)
def test_how_many_errors_are_skipped(below, decision):
    assert decide_failure([FORGIVE_2], failure(cause=None, state=ERROR, below=below)) == decision


MORE_MEM = on_error("handle_memory_errors", mem_limits=[8, 32], max_duration=60)
OOM = Cause.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("callback", "failed", "mem"),
    [
        pytest.param(MORE_MEM, failure(OOM, mem=2.0), 8.0, id="2 GB to the first limit"),
        pytest.param(MORE_MEM, failure(OOM, mem=8.0), 32.0, id="8 GB to the second"),
        pytest.param(MORE_MEM, failure(OOM, mem=10.0), 32.0, id="10 GB to the next above"),
        pytest.param(MORE_MEM, failure(OOM, seconds=60.0), 8.0, id="just short enough"),
        pytest.param(MORE_MEM, failure(OOM, tries=9), 8.0, id="however many attempts"),
        pytest.param(
            on_error("handle_memory_errors", mem_limits=[32, 8]), failure(OOM), 8.0, id="unsorted"
        ),
        pytest.param(
            on_error("handle_memory_errors", mem_limits=(8, 32)), failure(OOM), 8.0, id="a tuple"
        ),
        pytest.param(on_error("handle_memory_errors"), failure(OOM), 8.0, id="defaults: 8, 32 GB"),
        pytest.param(
            on_error("handle_memory_errors"), failure(OOM, seconds=3600), 8.0, id="and one hour"
        ),
        pytest.param(on_killed("handle_memory_errors"), failure(OOM), 8.0, id="asked on killed"),
    ],
)
def test_memory_errors_are_retried_with_the_next_limit(callback, failed, mem):
    assert decide_failure([callback], failed) == Decision(FailureDecision.RETRY, mem)


@pytest.mark.parametrize(
    ("callback", "failed"),
    [
        pytest.param(MORE_MEM, failure(OOM, mem=32.0), id="the highest limit was not enough"),
        pytest.param(MORE_MEM, failure(OOM, seconds=60.1), id="ran too long to be worth it"),
        pytest.param(MORE_MEM, failure(Cause.EXIT_CODE), id="an exit code is another matter"),
        pytest.param(MORE_MEM, failure(Cause.TIMEOUT), id="so is a time limit"),
        pytest.param(MORE_MEM, failure(Cause.WORKER_LOST), id="so is a lost worker"),
        pytest.param(
            on_error("handle_memory_errors", mem_limits=[]), failure(OOM), id="no limits at all"
        ),
    ],
)
def test_memory_errors_that_more_memory_does_not_mend_fail(callback, failed):
    assert decide_failure([callback], failed) == FAIL


FINAL = (
    Cause.KILLED_BY_USER,
    Cause.IMAGE,
    Cause.NO_WORKER,
    Cause.NO_CAPACITY,
    Cause.SPEND_LIMIT,
    Cause.BUDGET,
    Cause.REJECTED,
    Cause.APPROVAL_TIMEOUT,
)
HEARD = {
    **{("error", cause): RETRY for cause in Cause},
    **{("killed", cause): RETRY for cause in Cause if state_of(cause) is KILLED},
    **{("killed", cause): FAIL for cause in Cause if state_of(cause) is ERROR},
    **{(event, cause): FAIL for event in ("queued", "running", "done") for cause in Cause},
    **{("stateChange", cause): FAIL for cause in Cause},
    # A person's kill is final; the next attempt would have the same broken image, and no worker.
    **{(event, cause): FAIL for event in ("error", "killed") for cause in FINAL},
}


@pytest.mark.parametrize(
    ("event", "cause", "decision"),
    [
        pytest.param(event, cause, decision, id=f"{event} hears {cause}: {decision.kind.name}")
        for (event, cause), decision in HEARD.items()
    ],
)
def test_callback_matches_its_kinds_of_failures(event, cause, decision):
    callback = Callback(event, "retry", {"max_num_retries": 1})

    assert decide_failure([callback], failure(cause)) == decision


@pytest.mark.parametrize("name", ["email", "slack_status", "github_status", "unheard_of"])
def test_notifying_callback_decides_nothing(name):
    assert decide_failure([on_error(name, to="a@b.example")], failure()) == FAIL


def test_no_callbacks_let_a_failure_be():
    assert decide_failure([], failure()) == FAIL


@pytest.mark.parametrize(
    ("retried", "retry_lost", "started", "again"),
    [
        (0, 0, True, False),
        (0, 2, True, True),
        (1, 2, True, True),
        (2, 2, True, False),
        (0, 0, False, True),
        (2, 0, False, True),
        (3, 0, False, False),
        (3, 9, False, False),
    ],
)
def test_lost_container_is_retried_by_parameter_or_before_the_start(
    retried: int, retry_lost: int, *, started: bool, again: bool
) -> None:
    assert retries_loss(retried, retry_lost, started=started) is again


@pytest.mark.parametrize(
    ("callbacks", "tries", "decision"),
    [
        pytest.param([RETRY_2, SKIP_2], 1, RETRY, id="both would retry"),
        pytest.param([RETRY_2, SKIP_2], 3, SKIP, id="the second decides when the first passes"),
        pytest.param([SKIP_2, on_error("retry", max_num_retries=9)], 3, SKIP, id="first come"),
        pytest.param([on_error("email"), RETRY_2], 1, RETRY, id="a telling one is passed by"),
        pytest.param([on_killed("retry", max_num_retries=9), RETRY_2], 3, FAIL, id="not heard"),
        pytest.param([FORGIVE_2, RETRY_2], 1, SKIP, id="forgiven before it is retried"),
    ],
)
def test_the_first_callback_that_acts_decides(callbacks, tries, decision):
    assert decide_failure(callbacks, failure(tries=tries)) == decision


def test_a_group_that_failed_without_a_cause_of_its_own_is_retried():
    assert decide_failure([RETRY_2], failure(cause=None, state=ERROR)) == RETRY


ARGUMENTS = {
    "retry": {"max_num_retries": 1},
    "retry_then_skip": {"max_num_retries": 1},
    "retry_with_double_mem": {"max_num_retries": 1},
    "skip_some_errors": {"max_num_errors": 1},
    "handle_memory_errors": {},
}


@pytest.mark.parametrize("name", sorted(RETRIES))
def test_every_callback_that_is_called_a_retry_decides(name):
    assert decide_failure([on_error(name, **ARGUMENTS[name])], failure(OOM)) != FAIL


@pytest.mark.parametrize(
    ("had", "maximum", "decision"),
    [
        (2.0, None, Decision(FailureDecision.RETRY, mem=8.0)),
        (8.0, 29.0, Decision(FailureDecision.RETRY, mem=29.0)),
        (29.0, 29.0, FAIL),
    ],
)
def test_retry_for_memory_never_asks_for_more_than_there_is(
    had: float, maximum: float | None, decision: Decision
) -> None:
    more = Callback("error", "handle_memory_errors", {"mem_limits": [8, 32]})
    killed = Failure(State.KILLED, Cause.OUT_OF_MEMORY, 1, had, 1.0, max_mem=maximum)

    assert decide_failure([more], killed) == decision


def test_doubled_memory_is_limited_by_the_machine() -> None:
    double = Callback("error", "retry_with_double_mem", {"max_num_retries": 3})
    killed = Failure(State.KILLED, Cause.OUT_OF_MEMORY, 1, 16.0, 1.0, max_mem=29.0)

    assert decide_failure([double], killed) == Decision(FailureDecision.RETRY, mem=29.0)
