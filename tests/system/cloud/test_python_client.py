"""The Python client in the cloud: the examples of its page, handles, and secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

import conducto as co
from conducto import errors
from conducto.api import Config
from support import client_docs
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]


@pytest.fixture
def environment(me: Cloud, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the variables of a user whose programs launch in the cloud."""
    given = {
        "CONDUCTO_BASE_DIR": str(tmp_path / "base"),
        "CONDUCTO_PROFILE": "cloud",
        "CONDUCTO_URL": me.emulator.url,
        "CONDUCTO_TOKEN": me.token,
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in given.items():
            patched.setenv(name, value)
        Config().set_profile_general("cloud", "target", "cloud")
        yield given


@pytest.mark.long  # a minute; the same examples run on this machine in each CI
@pytest.mark.timeout(900)
def test_examples_of_the_page_work(environment: dict[str, str], tmp_path: Path) -> None:
    ensure(["python:3.11-slim"])

    def run(section: str) -> str:
        folder = tmp_path / section
        folder.mkdir()
        return client_docs.run(section, folder, environment, engine=None)

    with ThreadPoolExecutor(len(client_docs.OUTPUTS)) as pool:
        printed = dict(zip(client_docs.OUTPUTS, pool.map(run, client_docs.OUTPUTS), strict=True))

    for section, text in printed.items():
        client_docs.check(section, text)


@pytest.mark.usefixtures("environment")
def test_handles_work_in_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(["busybox:latest"])
    connection = co.connect()
    connection.secrets.set("CLIENT_KEY", "very-secret-value")

    def tree(command: str) -> co.Serial:
        root = co.Serial(image="busybox:latest")
        root["a"] = co.Exec('echo "$CLIENT_KEY"; cat /conducto/data/pipeline/in')
        root["b"] = co.Exec(command)
        return root

    pipeline = co.launch(tree("exit 3"), run=False, title="handles")
    pipeline.data.write("in", "from the client")
    pipeline.run()

    assert (connection.target, pipeline.target) == ("cloud", "cloud")
    assert pipeline.wait(90) == "error"
    assert "very-secret" not in pipeline["/a"].logs()
    assert "from the client" in pipeline["/a"].logs()
    assert [node.exit_code for node in pipeline.nodes(state="error")] == [3]
    assert [change.path for change in pipeline.follow()][-1] == "/"
    assert co.latest("handles") == pipeline == co.get_pipeline(pipeline.id)
    plan = co.plan(tree("cat /conducto/data/pipeline/in"), into=pipeline.id)
    assert [(n.path, n.fate, n.reason) for n in plan.nodes] == [
        ("/a", "kept", ""),
        ("/b", "runs", "command changed"),
    ]
    continued = co.launch(tree("cat /conducto/data/pipeline/in"), into=pipeline.id)
    assert continued == pipeline
    assert continued.wait(90, check=True) == "done"
    assert [len(pipeline[path].attempts()) for path in ("/a", "/b")] == [1, 2]
    assert pipeline["/b"].logs() == "from the client"
    named = """printf '{"name": "in"}' > $CONDUCTO_RUN_DIR/artifacts"""
    assert co.launch(tree(named), into=pipeline.id).wait(90, check=True) == "done"
    (artifact,) = pipeline["/b"].artifacts()
    token = {"Authorization": f"Bearer {os.environ['CONDUCTO_TOKEN']}"}
    assert requests.get(artifact.url, headers=token, timeout=60).content == b"from the client"
    pipeline.skip("/b")

    monkeypatch.setenv("CONDUCTO_TOKEN", "cdo_expired")
    pipeline._target.close()
    with pytest.raises(errors.ApiError, match="log in again"):
        pipeline.wait(90)


SECRETS = """
import conducto as co

def pipeline() -> co.Serial:
    co.api.Secrets().put_user_secrets({"OLD_KEY": "very-secret-value"})
    root = co.Serial(image="busybox:latest")
    root["a"] = co.Exec("true")
    return root

if __name__ == "__main__":
    co.main(default=pipeline)
"""


def test_secrets_of_a_script_are_stored_on_the_target_of_its_launch(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "pipeline.py").write_text(SECRETS)
    given = {**os.environ, **environment, "CONDUCTO_SECRET_STORE": "file"}

    def names(*options: str) -> list[str]:
        words = [sys.executable, str(tmp_path / "pipeline.py"), *options]
        done = subprocess.run(words, env=given, capture_output=True, text=True, check=False)
        price = "conducto: at most $0.25 by the time limits; budget none\n"
        assert (done.returncode, done.stderr) == (0, price if "--cloud" in options else "")
        return [secret.key for secret in co.connect("cloud").secrets.list()]

    assert names() == []
    assert names("--cloud") == ["OLD_KEY"]
    assert co.api.Secrets().get_user_secrets(obfuscate=True) == {"OLD_KEY": "********"}
    co.api.Secrets().delete_user_secrets(["OLD_KEY"])
    assert co.connect("cloud").secrets.list() == ()
    assert [each["title"] for each in co.api.Pipeline().list()] == ["pipeline.py pipeline"]
