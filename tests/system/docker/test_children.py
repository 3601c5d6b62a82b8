"""A command in a container launches pipelines, with the author API and Python alone."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from conducto_core.run.model.params import ListParams
from support.local import local_runner
from support.stand_ins import ensure

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

pytestmark = pytest.mark.docker

JOB = """
import os
import conducto as co

def parent() -> str:
    print("token:", os.environ["CONDUCTO_LAUNCH_TOKEN"])
    tree = co.Parallel()
    tree["native"] = co.Exec(leaf, "hello")
    tree["plain"] = co.Exec("echo plain")
    child = co.launch(tree, title="child")
    print(child.wait(timeout=120, check=True), child.counts.total, child.target)
    greedy = co.Exec("true", docker_run_args="-v /:/host")
    root = co.Parallel()
    root["greedy"] = greedy
    try:
        co.launch(root)
    except co.DefinitionError as error:
        print(error)
    return child.id

def leaf(word: str) -> str:
    return word
"""


def module_at(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("job", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_native_function_launches_a_child_in_its_own_image(tmp_path: Path) -> None:
    ensure(["python:3.11-slim"])
    project = tmp_path / "project"
    project.mkdir()
    (project / "job.py").write_text(JOB)
    job: Any = module_at(project / "job.py")
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir=str(project)))
    root["parent"] = co.Exec(job.parent, params=co.Params(launch=True))
    async with local_runner(tmp_path / "home") as local:
        run = await local.run(root)
        out = (await run.output("/parent")).decode()
        found = await local.pipelines.list_pipelines(ListParams(parent=run.id))

    token, done, refused, returned = out.splitlines()
    assert (token, done) == ("token: ********", "done 2 local")
    assert refused.startswith("/greedy: docker_run_args='-v /:/host'")
    (child,) = found.pipelines
    assert returned == repr(child.pipeline.id)
    assert (child.pipeline.title, child.counts.done) == ("child", 2)
