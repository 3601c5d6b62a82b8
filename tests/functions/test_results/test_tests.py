"""Tests of pipelines in the cloud: histories, and quarantines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chalicelib.logs.port import LogKey
from conducto.wire.shards import VARIABLE, unpacked
from conducto_core.billing.rules import BillingPlan
from conducto_core.errors import RefusedError
from conducto_core.programs.rules.programs import program_of
from conducto_core.results.model import OutputSummary
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import GitOrigin
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause
from conducto_core.test_results.model import (
    PipelineTestParams,
    PipelineTests,
    ProgramTestParams,
    QuarantineParams,
    QuarantineRequest,
    TestChange,
    TestCounts,
    TestResult,
)
from conducto_core.test_results.rules import program_id
from support.cloud.world import ME, World
from support.trees import form, lazy, leaf, parallel, serial


def run_tests(
    world: World,
    *failed: str,
    passed: tuple[str, ...] = (),
    title: str = "shop",
    git: GitOrigin | None = None,
) -> str:
    """Run a pipeline whose command has tests; return its id."""
    request = LaunchRequest(tree=form(serial(leaf("a", command="pytest"), title=title)), run=True)
    launched = asyncio.run(world.pipelines().launch(request, origin=git))
    pipeline_id = launched.pipeline.id
    world.serve()
    hand = world.running()["/a"]
    results = [TestResult(name=name, outcome="failed", message="wrong") for name in failed]
    results += [TestResult(name=name, outcome="passed", seconds=2) for name in passed]
    lines = "".join(each.model_dump_json(exclude_defaults=True) + "\n" for each in results)
    world.cloud.storage.logs.append(LogKey(pipeline_id, "/a", 1, "tests"), 0, lines.encode())
    counts = TestCounts(failed=len(failed), passed=len(passed))
    cause = Cause.EXIT_CODE if failed else None
    hand.finish(exit_code=1 if failed else 0, cause=cause, outputs=OutputSummary(tests=counts))
    world.serve()
    return pipeline_id


def pull_request(number: int, *, untrusted: bool = False) -> GitOrigin:
    """Return the origin of a pipeline of a pull request to main."""
    fields = {"section": "pr", "branch": f"feature-{number}", "base_branch": "main"}
    return pushed(sha=str(number) * 40, untrusted=untrusted, **fields)


def pushed(**more: Any) -> GitOrigin:
    fields = {
        "trigger": "app",
        "provider": "github",
        "repository": "acme/app",
        "section": "push",
        "url": "https://github.com/acme/app.git",
        "branch": "main",
        "sha": "a" * 40,
    }
    return GitOrigin.model_validate({**fields, **more})


def in_repository(number: int, world: World, *failed: str, git: GitOrigin, **more: Any) -> str:
    """Run the tests of a repository, titled as a trigger does."""
    world.now += 60
    title = f"acme/app pr #{number}" if number else "acme/app push main"
    return run_tests(world, *failed, title=title, git=git, **more)


def quarantine(world: World, pipeline_id: str, test: str, seconds: float = 3600) -> str:
    request = QuarantineRequest(
        test=test,
        until=world.now + seconds,
        reason="see issue 7",
    )
    params = PipelineParams(id=pipeline_id)
    return asyncio.run(world.pipelines().quarantine_test(params, request)).name


def listed(world: World, pipeline_id: str) -> PipelineTests:
    return asyncio.run(world.pipelines().list_pipeline_tests(PipelineTestParams(id=pipeline_id)))


def test_history_of_a_program_is_kept_without_its_pipelines() -> None:
    world = World()
    first = run_tests(world, "old", "repaired", passed=("works",))
    world.now += 60
    second = run_tests(world, "old", "works", passed=("repaired",))

    found = listed(world, second)

    assert [(each.name, each.change) for each in found.tests] == [
        ("works", TestChange.NEW_FAILURE),
        ("old", TestChange.STILL_FAILING),
        ("repaired", TestChange.FIXED),
    ]
    world.control(first, "archive")
    world.serve()
    world.minute(3600)
    world.serve()
    asyncio.run(world.pipelines().delete_pipeline(PipelineParams(id=first)))
    kept = asyncio.run(world.pipelines().list_program_tests(ProgramTestParams(id=second)))
    assert {each.name: each.outcomes for each in kept.tests} == {
        "old": "ff",
        "repaired": "fp",
        "works": "pf",
    }
    assert [each.id for each in kept.pipelines] == [first, second]


def test_only_quarantined_failures_end_a_command_with_a_warning() -> None:
    world = World()
    first = run_tests(world, "bad", passed=("ok",))
    name = quarantine(world, first, "bad")
    world.now += 60

    second = run_tests(world, "bad", passed=("ok",))
    third = run_tests(world, "bad", "other")

    node = world.nodes(second)["/a"]
    assert (node.state, node.warning) == ("done", True)
    (attempt,) = world.attempts(second, "/a")
    assert attempt.message == "done with a warning: only quarantined tests failed: bad"
    assert world.states(second)["/"] == "done"
    assert world.states(third)["/a"] == "error"
    assert listed(world, second).tests[0].quarantined
    (entry,) = asyncio.run(
        world.pipelines().list_program_tests(ProgramTestParams(id=second))
    ).quarantines
    assert (entry.name, entry.by, entry.reason) == (name, ME.user, "see issue 7")


def test_quarantine_ends_at_its_date() -> None:
    world = World()
    first = run_tests(world, "bad")
    quarantine(world, first, "bad", seconds=600)
    world.now += 601

    second = run_tests(world, "bad")

    assert world.states(second)["/a"] == "error"
    assert not listed(world, second).tests[0].quarantined


@pytest.mark.parametrize("seconds", [-1, 0, 400 * 86_400], ids=["past", "now", "in over a year"])
def test_quarantine_has_an_end_within_a_year(seconds: float) -> None:
    world = World()
    first = run_tests(world, "bad")

    with pytest.raises(RefusedError, match="must end between now and in 365 days"):
        quarantine(world, first, "bad", seconds=seconds)


def test_only_tests_that_ran_can_be_quarantined() -> None:
    world = World()
    first = run_tests(world, "bad", passed=("works",))
    with pytest.raises(RefusedError, match=r"no test 'bda' ran .*; did you mean 'bad'\?"):
        quarantine(world, first, "bda")


def test_quarantine_of_another_program_does_not_count() -> None:
    world = World()
    quarantine(world, run_tests(world, "bad", title="another"), "bad")

    second = run_tests(world, "bad")

    assert world.states(second)["/a"] == "error"


def test_history_that_cannot_be_read_is_made_again() -> None:
    world = World()
    only = run_tests(world, "bad")
    name = program_id(program_of(world.get(only).pipeline))
    world.pipelines().write_test_history(name, b"damaged")

    assert listed(world, only).counts.failed == 1
    assert world.pipelines().read_test_history(name) != b"damaged"


def test_quarantine_of_a_pull_request_holds_after_the_merge() -> None:
    world = World()
    first = in_repository(7, world, "bad", git=pull_request(7))
    quarantine(world, first, "bad")

    merged = in_repository(0, world, "bad", git=pushed())

    assert world.states(merged)["/a"] == "done"


def test_pull_request_is_compared_with_its_base_and_not_with_other_ones() -> None:
    world = World()
    in_repository(0, world, git=pushed(), passed=("works",))
    in_repository(7, world, "works", git=pull_request(7))
    eighth = in_repository(8, world, "works", git=pull_request(8))
    ninth = in_repository(9, world, git=pull_request(9), passed=("works",))
    again = in_repository(7, world, git=pull_request(7), passed=("works",))

    assert [each.change for each in listed(world, eighth).tests] == [TestChange.NEW_FAILURE]
    assert [each.change for each in listed(world, ninth).tests] == [None]
    assert [each.change for each in listed(world, again).tests] == [TestChange.FIXED]
    kept = asyncio.run(world.pipelines().list_program_tests(ProgramTestParams(id=ninth)))
    assert [each.branch for each in kept.pipelines] == [
        "main",
        "feature-7",
        "feature-8",
        "feature-9",
        "feature-7",
    ]


def test_forks_are_not_in_the_history_of_a_repository() -> None:
    world = World()
    in_repository(0, world, git=pushed(), passed=("works",))
    fork = in_repository(7, world, "works", git=pull_request(7, untrusted=True))

    kept = asyncio.run(world.pipelines().list_program_tests(ProgramTestParams(id=fork)))

    assert [(each.name, each.outcomes) for each in kept.tests] == [("works", "p")]
    assert [each.change for each in listed(world, fork).tests] == [TestChange.NEW_FAILURE]


@pytest.mark.parametrize("early", [False, True], ids=["by a claim", "by a report"])
def test_lazy_that_shards_tests_has_their_times(*, early: bool) -> None:
    world = World()
    run_tests(world, passed=("shop.py::total", "shop.py::price", "cart.py::sum"))
    world.orgs.set_plan(ME.org, BillingPlan("small", 1, 1000, 16, None))
    sharding = lazy("l", __env__CONDUCTO_JUNIT="*.xml")
    world.launch(parallel("a", sharding, lazy("m"), title="shop"))
    envs = {}
    for _ in range(3):
        world.serve()
        ((path, hand),) = world.running().items()
        assert hand.job is not None
        envs[path] = unpacked(hand.job.env.get(VARIABLE, ""))
        hand.finish(early=early, tree=form(leaf()) if hand.job.prints_tree else None)

    assert envs == {
        "/a": {},
        "/l/Generate": {"cart.py": 2.0, "shop.py": 4.0},
        "/m/Generate": {},
    }


def flaky_pipeline(world: World, test: str = "bad") -> str:
    """Run a pipeline whose test failed and passed with the same inputs."""
    world.now += 60
    pipeline_id = run_tests(world, passed=(test,))
    hand_over(world, pipeline_id, test)
    return pipeline_id


def hand_over(world: World, pipeline_id: str, test: str) -> None:
    """Run the command of a pipeline again; the test is flaky there."""
    world.control(pipeline_id, "rerun", "/a")
    world.serve()
    result = TestResult(name=test, outcome="flaky")
    line = result.model_dump_json(exclude_defaults=True) + "\n"
    world.cloud.storage.logs.append(LogKey(pipeline_id, "/a", 2, "tests"), 0, line.encode())
    world.running()["/a"].finish(exit_code=0, outputs=OutputSummary(tests=TestCounts(flaky=1)))
    world.serve()


def quarantine_flaky(world: World, pipeline_id: str, number: int) -> None:
    fields = {"test": "*", "until": world.now + 86_400, "reason": "we agreed", "automatic": number}
    params = PipelineParams(id=pipeline_id)
    request = QuarantineRequest.model_validate(fields)
    asyncio.run(world.pipelines().quarantine_test(params, request))


def quarantines(world: World, pipeline_id: str) -> dict[str, str]:
    """Return ``{test: user}`` of the quarantines in force."""
    params = ProgramTestParams(id=pipeline_id)
    found = asyncio.run(world.pipelines().list_program_tests(params)).quarantines
    return {each.test: each.by for each in found}


def test_flaky_tests_are_suggested_until_they_are_quarantined() -> None:
    world = World()
    only = flaky_pipeline(world)

    assert listed(world, only).suggested == ("bad",)
    program = asyncio.run(world.pipelines().list_program_tests(ProgramTestParams(id=only)))
    assert program.suggested == ("bad",)
    quarantine(world, only, "bad")
    assert listed(world, only).suggested == ()


def test_no_test_is_quarantined_without_a_rule() -> None:
    world = World()
    for _ in range(4):
        last = flaky_pipeline(world)

    assert quarantines(world, last) == {}


def test_rule_quarantines_tests_that_are_flaky_often_enough() -> None:
    world = World()
    first = flaky_pipeline(world)
    quarantine_flaky(world, first, 2)
    once = quarantines(world, first)
    second = flaky_pipeline(world)
    twice = quarantines(world, second)
    failed = run_tests(world, "bad")

    assert once == {"*": ME.user}
    assert twice == {"*": ME.user, "bad": "automatic"}
    assert world.states(failed)["/a"] == "done"  # with a warning
    assert listed(world, second).suggested == ()


def test_rule_does_not_repeat_a_quarantine_that_was_ended() -> None:
    world = World()
    first = flaky_pipeline(world)
    quarantine_flaky(world, first, 2)
    second = flaky_pipeline(world)
    params = ProgramTestParams(id=second)
    found = asyncio.run(world.pipelines().list_program_tests(params)).quarantines
    (name,) = [each.name for each in found if each.test == "bad"]
    asyncio.run(world.pipelines().end_quarantine(QuarantineParams(id=second, name=name)))
    third = flaky_pipeline(world)

    assert quarantines(world, third) == {"*": ME.user}


def test_test_with_the_name_of_a_rule_is_not_quarantined() -> None:
    world = World()
    quarantine_flaky(world, run_tests(world, "bad"), 2)

    assert world.states(run_tests(world, "*"))["/a"] == "error"


def test_rule_is_for_all_tests() -> None:
    with pytest.raises(ValueError, match="a rule is for all tests"):
        QuarantineRequest(test="bad", until=1, reason="x", automatic=2)
