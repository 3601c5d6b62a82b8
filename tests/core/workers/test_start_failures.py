"""Launches of workers that end before they run a command: their number and backoff."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from conducto_core.run.model.states import Cause
from conducto_core.workers.rules.start_failures import (
    FIRST_WAVE,
    MAX_STARTS,
    OF_RUNG,
    Failed,
    PoolStarts,
    StartFailure,
    failure_of,
    not_pulled,
    with_remedy,
)

PULL = "CannotPullContainerError: pull image manifest has been retried 1 time(s): "


@pytest.mark.parametrize(
    ("reason", "failure", "remedy"),
    [
        (PULL + "429 Too Many Requests - toomanyrequests", StartFailure.THROTTLED, "pull_through"),
        ("Rate exceeded", StartFailure.THROTTLED, ""),
        ("Capacity is unavailable at this time", StartFailure.CAPACITY, ""),
        (
            PULL + "image Manifest does not contain descriptor matching platform 'linux/amd64'",
            StartFailure.BAD_IMAGE,
            "--platform linux/amd64",
        ),
        ("exec /bin/sh: exec format error", StartFailure.BAD_IMAGE, "--platform linux/amd64"),
        (
            "Essential container in task exited (exit code 255)",
            StartFailure.EXITED,
            "--platform linux/amd64",
        ),
        (PULL + "pull access denied for x", StartFailure.BAD_IMAGE, "permission to pull it"),
        (
            'CannotStartContainerError: exec: "/bin/sh": executable file not found in $PATH',
            StartFailure.BAD_IMAGE,
            "/bin/sh",
        ),
        (PULL + "x:latest: not found", StartFailure.BAD_IMAGE, "name and tag"),
        (PULL + "dial tcp: i/o timeout", StartFailure.SETUP, "subnets can reach it"),
        (PULL + "a word that is new", StartFailure.IMAGE, ""),
        ("ClusterNotFoundException: Cluster not found.", StartFailure.LOST, ""),
        (
            "ResourceInitializationError: failed to set up EFS: mount.nfs4: access denied",
            StartFailure.SETUP,
            "mount targets",
        ),
        (
            "Unexpected EC2 error: InsufficientFreeAddressesInSubnet",
            StartFailure.NO_ROOM,
            "no free address",
        ),
        ("RESOURCE:ENI", StartFailure.NO_ROOM, "no free address"),
        (
            "You've reached the limit on the number of vCPUs you can run concurrently",
            StartFailure.NO_ROOM,
            "quota",
        ),
        (
            "User: arn:x is not authorized to perform: ecs:RunTask",
            StartFailure.DENIED,
            "deploy the installation again",
        ),
        ("Task failed to start", StartFailure.SETUP, ""),
        ("Your Spot Task was interrupted.", StartFailure.SPOT, ""),
    ],
)
def test_reasons_of_aws_are_classified_with_a_remedy(
    reason: str, failure: StartFailure, remedy: str
) -> None:
    assert failure_of(reason) is failure
    said = with_remedy(reason)
    assert said.startswith(reason)
    assert remedy in said.removeprefix(reason)


@pytest.mark.parametrize(
    ("failure", "cause", "starts"),
    [
        (StartFailure.SERVICE, Cause.SERVICE, 1),
        (StartFailure.BAD_IMAGE, Cause.IMAGE, 1),
        (StartFailure.IMAGE, Cause.IMAGE, 2),
        (StartFailure.EXITED, Cause.IMAGE, 4),
        (StartFailure.SETUP, Cause.NO_WORKER, 4),
        (StartFailure.LOST, Cause.WORKER_LOST, 4),
        (StartFailure.THROTTLED, Cause.NO_WORKER, MAX_STARTS),
        (StartFailure.DENIED, Cause.NO_WORKER, MAX_STARTS),
    ],
)
def test_each_failure_has_a_limit_and_waits_twice_as_long_each_time(
    failure: StartFailure, cause: Cause, starts: int
) -> None:
    known, now, waits = PoolStarts(), 0.0, []
    for number in range(1, starts + 1):
        assert known.allowed(1, 0, now) == 1
        known = known.after(Failed(failure, "a reason", known.rounds), now)
        assert known.given_up == (number == starts)
        assert known.allowed(1, 0, known.until - 0.1) == 0
        waits.append(known.until - now)
        now = known.until
    assert known.allowed(1, 0, now + 1e9) == 0
    assert known.cause is cause
    assert "a reason" in known.message("i")
    for before, after in pairwise(waits):
        assert after == min(2 * before, 7200.0)


def test_two_throttled_pulls_and_one_lost_worker_give_nothing_up() -> None:
    known, now = PoolStarts(), 0.0
    for failure in (StartFailure.THROTTLED, StartFailure.THROTTLED, StartFailure.LOST):
        known = known.after(Failed(failure, "", known.rounds), now)
        now = known.until
    assert not known.given_up
    assert known.allowed(50, 0, now) == 1


def test_pool_widens_when_its_first_worker_has_run_a_command() -> None:
    known = PoolStarts()
    assert known.allowed(200, 0, 0.0) == FIRST_WAVE
    assert known.allowed(200, FIRST_WAVE, 0.0) == 0
    assert known.after_command(0).allowed(200, 3, 0.0) == 200


def test_pool_that_is_refused_asks_for_one_worker_until_that_is_up() -> None:
    known = PoolStarts(proven=True).after(
        Failed(StartFailure.NO_ROOM, "", 0, refused=True, contended=True), 0.0
    )
    known = known.after_command(0)  # of a worker that was up before
    assert known.allowed(136, 0, known.until) == 1
    assert known.after_up(0) == known
    assert known.after_up(known.rounds).allowed(136, 0, 0.0) == 136


@pytest.mark.parametrize("seed", range(60))
def test_no_pool_asks_for_more_than_ten_workers_before_a_command(seed: int) -> None:
    rng = Random(seed)
    known, now, calls, alive = PoolStarts(), 0.0, 0, list[int]()
    failures = sorted(set(StartFailure) - OF_RUNG)  # the others are bounded by time
    for _ in range(300):
        for _ in range(known.allowed(rng.choice((1, 5, 200)), len(alive), now)):
            alive.append(known.rounds)
            calls += 1
        if alive and rng.random() < 0.7:
            started_in = alive.pop(rng.randrange(len(alive)))
            before = known
            refused = rng.random() < 0.3
            failed = Failed(rng.choice(failures), "", started_in, refused=refused)
            known = known.after(failed, now)
            assert known.until >= before.until or known.given_up
        elif alive and rng.random() < 0.2:
            known = known.after_up(alive[-1])
        now += rng.choice((1.0, 30.0, 600.0, 10_000.0))
    assert calls <= MAX_STARTS
    assert known.given_up


def test_an_image_that_the_emulator_cannot_pull_has_the_sentence_of_the_agent() -> None:
    reason = not_pulled("nosuch/image:1", "dial tcp: lookup registry: no such host")
    failed = Failed(failure_of(reason), reason)

    starts = PoolStarts().after(failed, 0.0)

    assert starts.given_up
    assert starts.cause is Cause.IMAGE
    assert starts.message("nosuch-image-1-1df856d3") == reason
