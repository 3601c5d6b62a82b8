"""The real ``conducto deploy`` at an AWS that is not ours, and pipelines there.

One installation lives through these tests in their order: it is deployed, used, redeployed with
other settings, destroyed, and deployed over what is left.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pexpect
import pytest

from deploy import scripts
from support.running import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.installation import Installation

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "examples/hello/pipeline.py"
LARGE_BYTES = 30_000_000
PATIENCE = 240.0


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until a condition holds; nothing tells of it."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.5)


def state(installation: Installation, pipeline_id: str, path: str) -> str:
    nodes = installation.person.read("show", pipeline_id)["nodes"]
    return str(next(node["state"] for node in nodes if node["path"] == path))


def launch(installation: Installation, script: Path, *words: str) -> str:
    """Launch a script and come back at once; return the pipeline's id."""
    done = installation.person.python(str(script), "--cloud", *words)
    return Run(installation.person, done.returncode, done.stdout, done.stderr).id


@pytest.fixture(scope="module")
def waiting(installation: Installation) -> Path:
    return installation.script("waiting.py", scripts.WAITING)


def test_deploy_logs_in(installation: Installation) -> None:
    doctor = installation.person.conducto("doctor", "--cloud")

    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "64 vCPUs at once" in doctor.stdout


def test_hello_runs(installation: Installation) -> None:
    run = installation.person.run(HELLO, side="cloud")

    assert run.code == 0, run.stdout + run.stderr
    assert set(run.states.values()) == {"done"}


def test_a_failure_is_reset_and_goes_on(installation: Installation) -> None:
    person = installation.person
    run = person.run(installation.script("failing.py", scripts.FAILING), side="cloud")
    assert (run.code, run.states["/test"], run.states["/after"]) == (1, "error", "pending")
    assert run.output("/test", "stderr") == "no\n"

    (person.base / "fix").write_text("")
    person.ask("data", "put", run.id, "fix")
    person.ask("reset", run.id, "/test", "--watch")

    assert state(installation, run.id, "/") == "done"
    assert run.output("/after") == "after\n"


@pytest.fixture(scope="module")
def kinds(installation: Installation) -> Run:
    """Return a pipeline that has something of everything."""
    person = installation.person
    stored = person.conducto("secrets", "set", "TOKEN", "--cloud", given="s3cret-value\n")
    assert stored.returncode == 0, stored.stderr
    (person.base / "words.txt").write_text("copied words\n")
    run = person.run(installation.script("kinds.py", scripts.KINDS), side="cloud")
    assert run.code == 0, run.stdout + run.stderr
    return run


def test_secrets_reach_commands_and_are_masked(kinds: Run) -> None:
    assert kinds.states["/all/secret"] == "done"
    assert "s3cret-value" not in kinds.output("/all/secret")


def test_commands_share_data(kinds: Run) -> None:
    assert kinds.output("/read") == "kept\nmine\n"


def test_codebuild_builds_an_image_with_code(kinds: Run) -> None:
    assert kinds.output("/all/copied") == "copied words\n"


def test_a_container_of_ones_own_keeps_its_state(kinds: Run) -> None:
    assert kinds.output("/own/read") == "state\n"


def test_a_lazy_grows(kinds: Run) -> None:
    (leaf,) = [path for path in kinds.states if path.endswith("/leaf")]

    assert kinds.output(leaf) == "leaf of a lazy\n"


def test_a_shell_opens_on_this_machine(installation: Installation, kinds: Run) -> None:
    words = ["debug", kinds.id, "/own/read"]
    person = installation.person
    environment = {
        **os.environ,
        "CONDUCTO_BASE_DIR": str(person.base),
        "CONDUCTO_PROFILE": person.profile,
    }
    shell = pexpect.spawn(
        "conducto", words, cwd=person.base, env=environment, encoding="utf-8", timeout=PATIENCE
    )
    shell.expect(r"[#$] (\x1b\[6n)?$")  # what is typed before the prompt is lost
    shell.sendline("cat words.txt; echo sum $((40 + 2)); exit")

    shell.expect("copied words")
    shell.expect("sum 42")
    shell.expect(pexpect.EOF)


def test_this_machine_builds_and_pushes_an_image(installation: Installation) -> None:
    person = installation.person
    (person.base / "Dockerfile").write_text(scripts.DOCKERFILE)
    script = installation.script("built.py", scripts.BUILT)

    run = person.run(script, "--build", "local", side="cloud")

    assert run.code == 0, run.stdout + run.stderr
    assert run.output("/read") == "made here\n"


def test_large_files_come_back_as_they_went(installation: Installation, kinds: Run) -> None:
    person = installation.person
    content = hashlib.shake_256(b"large").digest(LARGE_BYTES)
    (person.base / "large").write_bytes(content)

    person.ask("data", "put", kinds.id, "large")
    person.ask("data", "get", kinds.id, "large", "back")

    assert (person.base / "back").read_bytes() == content


def test_every_minute_the_rule_runs_its_function(installation: Installation) -> None:
    logs = boto3.client("logs")

    def has_run() -> bool:
        group = "/aws/lambda/conducto-main-every-minute"
        return bool(logs.describe_log_streams(logGroupName=group)["logStreams"])

    until(has_run, "the every-minute rule")


# ---- deployments over deployments ---------------------------------------------------------------


def test_a_deployment_without_debug_shells_leaves_a_running_pipeline_alone(
    installation: Installation, waiting: Path
) -> None:
    person = installation.person
    pipeline = launch(installation, waiting, "--run", "--detach")
    until(lambda: state(installation, pipeline, "/wait") == "running", "the command runs")

    installation.deploy(remote_debug="false")

    (person.base / "go").write_text("")
    person.ask("data", "put", pipeline, "go")
    until(lambda: state(installation, pipeline, "/") == "done", "the pipeline is done")
    nodes = {node["path"]: node for node in person.read("show", pipeline)["nodes"]}
    assert len(nodes["/wait"]["attempts"]) == 1


def test_what_is_left_goes_on_after_destroy_and_deploy(
    installation: Installation, kinds: Run
) -> None:
    person = installation.person
    paused = launch(installation, HELLO)

    said = installation.destroy()
    assert "conducto-main" in said
    installation.deploy()

    assert kinds.output("/read") == "kept\nmine\n"  # the profile has the new URL
    person.ask("run", paused, "--watch")
    assert state(installation, paused, "/") == "done"
