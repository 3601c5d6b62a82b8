"""The node parameter ``retry``: retries after a delay, during which a node is pending."""

from __future__ import annotations

import json
from typing import Any

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto.wire.retries import Retry
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.machine import settled
from conducto_core.run.rules.outcomes import Failure, FailureDecision, decide_retry, retry_delay
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.rules.resolve import resolve
from support.trees import FAILS, Driver, leaf, parallel, serial

WAITS = {"number": 2, "delay": 10, "backoff": 3}


def fail(driver: Driver, path: str = "/a", cause: Cause = FAILS, **kw: Any) -> None:
    driver.start(path)
    driver.finish(path, cause, **kw)


def notes(driver: Driver) -> list[str | None]:
    return [c.note for c in driver.commands if isinstance(c, ev.EndAttempt)]


def retry_at(driver: Driver, path: str = "/a") -> float | None:
    return driver.tree.exec_at(path).retry_at


def test_failed_command_is_pending_until_its_retry_is_due() -> None:
    driver = Driver(serial(leaf("a", retry=WAITS), "b"))

    fail(driver, time=100.0)

    assert (driver.state("/a"), retry_at(driver)) == (State.PENDING, 110.0)
    assert not driver.queued
    assert driver.state("/") is State.RUNNING
    assert not settled(driver.tree)
    assert driver.tree.retries_due(109.0) == ()
    driver.send(ev.RetriesDue(driver.tree.retries_due(110.0)))
    assert driver.queued == {"/a": 2}
    fail(driver, time=200.0)
    assert retry_at(driver) == 230.0
    driver.send(ev.RetriesDue(("/a",)))
    fail(driver, time=300.0)
    assert driver.state("/a") is State.ERROR
    assert notes(driver) == [
        "tried again by itself after 10s: retry 1 of 2",
        "tried again by itself after 30s: retry 2 of 2",
        None,
    ]


def test_rerun_starts_a_waiting_retry_at_once_and_counts_from_one_again() -> None:
    driver = Driver(serial(leaf("a", retry=WAITS)))
    fail(driver)

    driver.send(ev.NodesReset(("/a",)))

    assert driver.queued == {"/a": 2}
    assert driver.tree.retrying == {}
    assert driver.tree.nodes["/a"].tries == 1


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (ev.Disarmed(), State.PENDING),
        (ev.NodesSkipped(("/",)), State.PENDING),
        (ev.NodesKilled(("/",)), State.KILLED),
    ],
)
def test_wait_ends_with_the_work_around_it(event: ev.Event, state: State) -> None:
    driver = Driver(serial(leaf("a", retry=WAITS), "b", stop_on_error=True))
    fail(driver)

    driver.send(event)

    assert (driver.state("/a"), retry_at(driver)) == (state, None)
    assert settled(driver.tree)


def test_time_limit_of_a_group_counts_the_wait() -> None:
    driver = Driver(serial(leaf("a", retry=WAITS), max_time=60))
    fail(driver)
    assert driver.timers == {"/": 60.0}

    driver.send(ev.TimeLimitReached("/"))

    assert driver.state("/") is State.KILLED
    assert driver.tree.retrying == {}


def test_named_loss_replaces_retry_lost() -> None:
    policy = {"number": 1, "delay": 10, "on": ["worker_lost"]}
    driver = Driver(serial(leaf("a", retry=policy, retry_lost=5)))
    fail(driver, cause=Cause.WORKER_LOST)
    assert retry_at(driver) == 10.0

    driver.send(ev.RetriesDue(("/a",)))
    fail(driver, cause=Cause.WORKER_LOST)

    assert driver.state("/a") is State.KILLED


def test_retry_lost_decides_first_unless_it_is_replaced() -> None:
    driver = Driver(serial(leaf("a", retry={**WAITS, "on": ["exit_code"]}, retry_lost=1)))

    fail(driver, cause=Cause.WORKER_LOST)

    assert driver.queued == {"/a": 2}


def test_callbacks_decide_about_failures_that_the_policy_does_not_name() -> None:
    callbacks = [["error", ["retry", {"max_num_retries": 1}]]]
    driver = Driver(serial(leaf("a", retry={**WAITS, "on": [75]}, callbacks=callbacks)))

    fail(driver, exit_code=1)

    assert driver.queued == {"/a": 2}


def test_policy_is_inherited_and_a_zero_ends_that() -> None:
    tree = parallel(leaf("a"), leaf("b", retry={"number": 0}), retry=WAITS)
    driver = Driver(tree)
    fail(driver)
    fail(driver, "/b")

    assert retry_at(driver) == 10.0
    assert driver.state("/b") is State.ERROR


def test_stored_wait_is_restored() -> None:
    driver = Driver(serial(leaf("a", retry=WAITS)))
    fail(driver)
    states = [driver.tree.state_of(node) for node in driver.tree.nodes.values()]

    again = TreeState(driver.pipeline, states, armed=True)

    assert again.retries_due(10.0) == ("/a",)
    assert again.root.state is State.RUNNING


def failure(tries: int, cause: Cause = FAILS, exit_code: int | None = 1) -> Failure:
    return Failure(State.ERROR, cause, tries, 2.0, 1.0, exit_code=exit_code)


@pytest.mark.parametrize(
    ("on", "cause", "exit_code", "again"),
    [
        (None, Cause.EXIT_CODE, 1, True),
        (None, Cause.TIMEOUT, None, True),
        (None, Cause.KILLED_BY_USER, None, False),
        (None, Cause.IMAGE, None, False),
        ((75,), Cause.EXIT_CODE, 75, True),
        ((75,), Cause.EXIT_CODE, 1, False),
        ((137,), Cause.OUT_OF_MEMORY, 137, False),
        (("timeout",), Cause.TIMEOUT, None, True),
        (("timeout",), Cause.EXIT_CODE, 1, False),
    ],
)
def test_policy_names_its_failures(
    on: tuple[int | str, ...] | None, cause: Cause, exit_code: int | None, again: bool
) -> None:
    policy = Retry(2, 10.0, 2.0, 0.0, 600.0, on)

    decision = decide_retry(policy, failure(1, cause, exit_code), "")

    assert (decision.kind is FailureDecision.RETRY) == again


def test_delay_grows_to_its_maximum_and_varies_within_the_jitter() -> None:
    policy = Retry(9, 10.0, 2.0, 0.2, 60.0, None)
    first = [retry_delay(policy, 1, str(seed)) for seed in range(200)]

    assert min(first) >= 8.0
    assert max(first) <= 12.0
    assert max(first) - min(first) > 3.5
    assert retry_delay(policy, 9, "2") <= 60.0
    assert retry_delay(policy, 1, "2") == retry_delay(policy, 1, "2")


def test_policy_passes_through_the_launch_form() -> None:
    retry = co.retry(3, delay="1m", backoff=2, jitter=0.2, max_delay=600, on=[75, "timeout"])
    tree = co.Exec("true", image="busybox", retry=retry)

    spec = resolve(json.loads(json.dumps(to_launch_form(tree)))).root

    assert spec.retry == Retry(3, 60.0, 2.0, 0.2, 600.0, (75, "timeout"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"number": -1}, "number must be a whole number from 0 to 100, got -1"),
        ({"number": True}, "number must be a whole number"),
        ({"number": 1, "delay": -1}, "retry: delay must be above 0, got -1"),
        ({"number": 1, "delay": float("nan")}, "retry: delay must be"),
        ({"number": 1, "delay": "1x"}, "unknown unit 'x'"),
        ({"number": 1, "delay": "2w"}, "at most a week"),
        ({"number": 1, "backoff": 0.5}, "backoff must be a number from 1 to 100, got 0.5"),
        ({"number": 1, "jitter": 2}, "jitter must be a number from 0 to 1, got 2"),
        ({"number": 1, "on": []}, "on is empty"),
        ({"number": 1, "on": [0]}, "exit codes from 1 to 255"),
        ({"number": 1, "on": ["lost"]}, "got 'lost'"),
    ],
)
def test_invalid_policy_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="retry") as refused:
        co.retry(**given)

    assert said in str(refused.value)


def test_used_up_budget_stops_running_commands_and_nothing_retries_them() -> None:
    driver = Driver(parallel(leaf("a", retry=WAITS), leaf("b"), stop_on_error=False))
    driver.start("/a")

    driver.send(ev.BudgetsReached(("/",)))
    driver.finish("/a", Cause.EXIT_CODE)

    assert driver.history == [("/a", 1, State.KILLED, Cause.BUDGET)]
    assert driver.state("/a") is State.KILLED
    assert driver.queued == {"/b": 1}
