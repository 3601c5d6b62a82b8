"""The agent is killed at a random moment of a random pipeline, and nothing is lost.

``make test-crash ROUNDS=200 SEED=7`` runs other rounds than the default; a round that fails says
how it is played again.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from random import Random, SystemRandom

import pytest

from conducto_core.run.model.states import State
from conducto_local.agent.launcher import stop_agent
from conducto_local.agent.state_dir import StateDir
from support.crash_laws import check_all
from support.crash_plans import Plan, random_accident
from support.crash_rounds import Round
from support.stand_ins import call, ensure

#: Of 20 rounds the first are part of CI.
ROUNDS = int(os.environ.get("ROUNDS", "20"))
QUICK = 5 if "ROUNDS" not in os.environ else ROUNDS
#: One round in so many runs in containers.
DOCKER_EVERY = 6


def rounds(wanted):
    numbers = range(ROUNDS)
    chosen = [n for n in numbers if (n % DOCKER_EVERY == DOCKER_EVERY - 1) == wanted]
    return [pytest.param(n, marks=[pytest.mark.long] if n >= QUICK else []) for n in chosen]


@pytest.fixture
def home(tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    home = StateDir(tmp_path / "home", f"crash-{os.getpid()}")
    yield home
    stop_agent(home)


@pytest.mark.parametrize("number", rounds(wanted=False))
def test_a_killed_agent_loses_nothing(number, home):
    left = play(number, "process", home, lambda: commands_of(home))

    assert not left, "commands of dead agents go on"


@pytest.mark.docker
@pytest.mark.parametrize("number", rounds(wanted=True))
def test_a_killed_agent_loses_nothing_in_containers(number, home):
    ensure(["busybox:latest"])
    with nothing_left_on_the_engine(home):
        left = play(number, "docker", home, lambda: on_the_engine(home))

    assert not left, "what dead agents had started is there"


def play(number, engine, home, leftovers):
    """Play a round, check all laws, and return what the dead agents have left behind."""
    base = os.environ.get("SEED") or str(SystemRandom().randrange(10**9))
    seed = f"{base}-{number}" if "-" not in base else base
    random = Random(f"{engine} {seed}")
    plan = Plan(random, engine)
    played = Round(home, plan, random_accident(random, slow=engine == "docker"))
    sys.stdout.write(f"round {seed} in {engine}: {played.accident}\n{json.dumps(plan.tree)}\n")
    test = os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0]
    sys.stdout.write(f"again: SEED={seed} ROUNDS={number + 1} .venv/bin/pytest '{test}'\n")
    played.play(leftovers)
    with played.client() as client:
        states = {node.path: State(node.state) for node in client.tree(played.id)}
        played.run_something(client)
        left = leftovers() & played.mourned
    stop_agent(home)
    check_all(played, states)
    return left


def commands_of(home):
    """Return ``pid start-time`` of the processes that run commands of a home's agents."""
    mark = f"TMPDIR={home.base.parent / 'tmp'}".encode()
    found = set()
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            env = (directory / "environ").read_bytes().split(b"\0")
            if mark in env and b"__RUN_BY_WORKER__=1" in env:
                born = (directory / "stat").read_text().rpartition(")")[2].split()[19]
                found.add(f"{directory.name} {born}")
    return found


def on_the_engine(home):
    """Return the containers and networks of a home, running or not."""
    labels = json.dumps({"label": [f"com.conducto.profile={home.profile}"]})
    query = {"filters": labels, "all": "1"}
    return {
        f"/{what}/{each['Id']}"
        for what, listing in (("containers", "containers/json"), ("networks", "networks"))
        for each in json.loads(call("GET", f"/{listing}", dict(query))[1])
    }


@contextlib.contextmanager
def nothing_left_on_the_engine(home):
    try:
        yield
        stop_agent(home)
        left = on_the_engine(home)
    finally:
        stop_agent(home)
        for each in sorted(on_the_engine(home)):
            call("DELETE", each, {"force": "1", "v": "1"} if "containers" in each else {})
    assert not left, "the last agent has left something"
