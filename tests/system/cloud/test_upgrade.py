"""An installation is upgraded and downgraded while pipelines run, which continue without loss."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from conducto_client.errors import ApiError
from conducto_core.diagnosis.model import DiagnosisParams
from conducto_core.installation.names import Variables, pipeline_directory
from conducto_core.programs.history import WhyParams
from conducto_core.run.model.requests import Action
from conducto_core.secrets.model import PutSecrets, SecretValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_emulator.emulator import Emulator
    from support.cloud.emulated import Cloud, Run

pytestmark = [pytest.mark.docker, pytest.mark.cloud, pytest.mark.long]

WAIT = "until test -e /conducto/data/pipeline/{}; do sleep 0.1; done; echo {}"
SEEN = "echo ${NPM:+npm} ${OTHER:+other}"
#: The next version's records: one schema more, in which attempts have a further field.
STEPS = "SCHEMA = Schema(STEPS)"
NEXT_STEPS = """def _noted(attempt: Any) -> Any:
    return {**attempt, "env": {**attempt["env"], "WRITTEN": "before"}}


SCHEMA = Schema((*STEPS, MigrationStep(bodies={"attempt": _noted, "spilled": _noted})))"""


@pytest.fixture(scope="module")
def newer(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package of a version to come: of another schema, and with other workers."""
    folder = tmp_path_factory.mktemp("newer") / "task"
    shutil.copytree(package, folder)
    replace(folder / "chalicelib" / "run" / "rules" / "snapshots.py", STEPS, NEXT_STEPS)
    calls = folder / "conducto_core" / "workers" / "model.py"
    replace(calls, "PROTOCOL = 2", "PROTOCOL = 3")
    blocked = "    blocked: bool = False\n"
    replace(calls, blocked, f"{blocked}    hint: str = 'of a version to come'\n")
    return folder


def replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1, f"{path} has changed; so must this test"
    path.write_text(text.replace(before, after))


@pytest.fixture
def installed(whole: Emulator, package: Path) -> Iterator[Emulator]:
    yield whole
    assert whole.package is not None
    whole.package.deploy(package)


def deploy(emulator: Emulator, package: Path) -> None:
    assert emulator.package is not None
    emulator.package.deploy(package)


def steps(kind: type[Any], *names: str, **commands: str) -> Any:
    root = kind(image="busybox:latest", cpu=0.25, mem=0.25)
    for name in names:
        root[name] = co.Exec(WAIT.format(name, name))
    for name, command in commands.items():
        root[name] = co.Exec(command)
    return root


def go(run: Run, name: str) -> None:
    """Let a command end that waits for a file; no function has to answer for that."""
    folder = Path(os.environ[Variables.DATA_ROOT]) / pipeline_directory(run.id)[1:]
    (folder / name).touch()


def test_running_pipeline_continues_and_its_old_workers_leave_after_their_commands(
    installed: Emulator, me: Cloud, newer: Path
) -> None:
    run = me.launch(steps(co.Serial, "a", b="echo b", c="echo c"))
    beside = me.launch(steps(co.Parallel, "x", "y"))
    run.until(lambda: run.state("/a") == "running", "/a was running")
    beside.until(lambda: set(beside.states().values()) == {"running"}, "all of it ran")

    deploy(installed, newer)
    go(run, "a")
    go(beside, "x")
    go(beside, "y")
    run.settled()
    beside.settled()

    assert set(run.states().values()) == set(beside.states().values()) == {"done"}
    assert [run.output(f"/{name}") for name in "abc"] == [b"a\n", b"b\n", b"c\n"]
    attempts = [run.attempts(f"/{name}") for name in "abc"]
    assert [len(each) for each in attempts] == [1, 1, 1]
    workers = [each[0].container for each in attempts]
    assert len(set(workers)) == 3  # each was as old as the first one


def test_pipelines_that_ended_before_an_upgrade_can_be_changed_after_it(
    installed: Emulator, me: Cloud, newer: Path
) -> None:
    run = me.run(steps(co.Serial, a="echo a", b="false"))

    deploy(installed, newer)
    run.control(Action.SKIP, "/b")
    run.control(Action.RESET, "/a")
    run.until(lambda: len(run.attempts("/a")) == 2, "/a was run again").settled()

    first, second = run.attempts("/a")
    assert first.env["WRITTEN"] == "before"
    assert "WRITTEN" not in second.env
    assert run.states()["/"] == "done"


def test_fields_of_nodes_and_attempts_survive_an_upgrade(
    installed: Emulator, me: Cloud, newer: Path
) -> None:
    secrets = tuple(SecretValue(key=key, value=f"{key}-value") for key in ("NPM", "OTHER"))
    me.client.put_secrets(PutSecrets(secrets=secrets))
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.25, secrets=["NPM"], budget=5)
    root.retry = co.retry(1, delay="1s", on=[75])
    root["a"] = co.Exec(f"{SEEN}; echo 'fatal: no disk' >&2; exit 75")
    first = me.run(root)
    (old, _retried) = first.attempts("/a")

    deploy(installed, newer)
    first.control(Action.RESET, "/a")
    first.control(Action.RUN)
    first.until(lambda: len(first.attempts("/a")) == 4, "it was run and retried again").settled()
    attempts = first.attempts("/a")

    assert [first.output("/a", attempt=number) for number in (1, 4)] == [b"npm\n", b"npm\n"]
    kept = attempts[0].model_copy(update={"env": old.env})
    assert kept == old  # with its fingerprint, its first error and the time of its retry
    assert old.fingerprint is not None
    assert old.first_error is not None
    assert old.first_error.text == "fatal: no disk"
    assert me.client.get_why(WhyParams(id=first.id, path="/a")).changed == ()
    found = me.client.get_diagnosis(DiagnosisParams(id=first.id))
    assert [each.count for each in found.causes] == [1]
    details = {each.name: each.value for each in me.client.node(first.id, "/a").parameters}
    assert details["secrets"] == ["NPM"]
    group = {each.name: each.value for each in me.client.node(first.id, "/").parameters}
    assert group["budget"] == 5.0


def test_downgrade_loses_nothing(
    installed: Emulator, me: Cloud, package: Path, newer: Path
) -> None:
    run = me.launch(steps(co.Serial, "a", b="echo b"))
    run.until(lambda: run.state("/a") == "running", "/a was running")
    deploy(installed, newer)
    run.control(Action.MODIFY, "/b", changes={"command": "echo newer"})

    deploy(installed, package)
    with pytest.raises(ApiError, match="deploy the newer version again"):
        run.control(Action.KILL, "/a")
    go(run, "a")  # its worker reports until the API responds

    deploy(installed, newer)
    run.settled()
    assert set(run.states().values()) == {"done"}
    assert run.output("/b") == b"newer\n"
