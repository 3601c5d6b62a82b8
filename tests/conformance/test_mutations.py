"""The tests of the rules can fail: bugs put in on purpose are caught, each by its nets."""

import json
import subprocess
import sys

import pytest

from support.mutations import MUTATIONS, NONE, TESTS, source_of

BUGS = [(mutation.name, net) for mutation in MUTATIONS for net in mutation.nets]


@pytest.fixture(scope="module")
def caught_by():
    """``{(mutation, net): the first test that failed, or None}``."""
    done = subprocess.run(
        [sys.executable, "-m", "support.mutations"],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(line["mutation"], line["net"]): line["caught_by"] for line in lines}


@pytest.mark.parametrize(("mutation", "net"), BUGS, ids=[" | ".join(bug) for bug in BUGS])
def test_a_bug_is_caught(caught_by, mutation, net):
    assert caught_by[mutation, net] is not None


@pytest.mark.parametrize("net", NONE.nets)
def test_unmodified_code_raises_no_alarm(caught_by, net):
    assert caught_by[NONE.name, net] is None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_place_of_a_bug_is_still_in_the_source(mutation):
    assert source_of(mutation.module).count(mutation.old) == 1


def test_every_module_that_decides_is_mutated():
    decides = {
        *(
            f"run.rules.{name}"
            for name in ("outcomes", "machine", "live_nodes", "tree_state", "admission")
        ),
        "asl.rules.states",
        "cache.rules",
        "cache.forecast",
    }

    assert {mutation.module for mutation in MUTATIONS} == decides
