"""Why a command ran on this machine, with real images."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.programs.history import WhyParams
from conducto_core.programs.model import ContinueRequest
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.secrets.model import PutSecrets, SecretValue
from support.local import Local, Run, local_runner
from support.stand_ins import ensure

pytestmark = pytest.mark.docker

BUSYBOX = "conducto-test/busybox:latest"


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    ensure([BUSYBOX])
    async with local_runner(tmp_path, profile="why") as runner:
        yield runner


async def why(run: Run, path: str = "/a") -> tuple[str, dict[str, tuple[str, ...]]]:
    found = await run.local.pipelines.get_why(WhyParams(id=run.id, path=path))
    return found.reason, {each.field: each.names for each in found.changed}


async def test_changed_file_and_variable_are_named(local: Local, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "lib").mkdir(parents=True)
    (code / "lib" / "features.py").write_text("1")
    (code / "train.py").write_text("1")

    def tree(**env: str) -> co.Serial:
        image = co.Image(image=BUSYBOX, copy_dir=str(code))
        root = co.Serial(image=image, cpu=0.25, mem=0.25)
        root["a"] = co.Exec("cat train.py", env=env)
        return root

    first = await local.run(tree(MODE="x"), title="why")
    (code / "lib" / "features.py").write_text("2")
    request = LaunchRequest(tree=to_launch_form(tree(MODE="x")), title="why")
    preview = ContinueRequest(launch=request, preview=True)
    plan = await local.pipelines.continue_pipeline(PipelineParams(id=first.id), preview)
    second = await local.run(tree(MODE="y"), title="why")

    assert [each.reason for each in plan.nodes] == ["code changed: lib/features.py"]
    reason, changed = await why(second)
    assert reason == f"differs from {first.id} attempt 1"
    assert changed == {"environment": ("MODE",), "code": ("lib/features.py",)}


async def test_only_named_secrets_reach_a_command(local: Local) -> None:
    values = (SecretValue(key="NPM", value="xyz1"), SecretValue(key="OTHER", value="xyz2"))
    await local.pipelines.put_secrets(PutSecrets(secrets=values))
    root = co.Parallel(image=BUSYBOX, cpu=0.25, mem=0.25, secrets=["NPM"])
    root["one"] = co.Exec("echo ${NPM:+npm} ${OTHER:+other}")
    root["none"] = co.Exec("echo ${NPM:+npm} ${OTHER:+other}", secrets=[])
    root["both"] = co.Exec("echo ${NPM:+npm} ${OTHER:+other}", secrets=["OTHER", "NPM"])

    run = await local.run(root)

    got = {path: (await run.output(path)).decode().split() for path in ("/one", "/none", "/both")}
    assert got == {"/one": ["npm"], "/none": [], "/both": ["npm", "other"]}
    assert (await why(run, "/one"))[0] == "no earlier attempt of this node"
