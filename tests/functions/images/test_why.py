"""Why a command ran in the cloud: the names of the differences from an earlier attempt."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tarfile
from typing import Any

import pytest

from chalicelib.images.builds import context_key
from conducto_core.images.model import ImageSources
from conducto_core.programs.history import Why, WhyParams
from conducto_core.run.model.states import Cause
from conducto_core.secrets.model import PutSecrets, SecretValue
from support.cloud.world import ME, World
from support.trees import leaf, serial

SCRIPT = "/home/ann/pipeline.py"
IMAGES = {"own": {"image": "base:1", "copy_dir": "/home/me/code"}}


@pytest.fixture
def world() -> World:
    return World()


def archive(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/") + ".py")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue())


def code(world: World, letter: str, **files: str) -> dict[str, Any]:
    """Upload a directory; return the arguments of a launch with it."""
    world.blobs.put(context_key(ME.org, letter * 64), archive(**files))
    return {"images": IMAGES, "sources": {"own": ImageSources(code=letter * 64)}}


def build(world: World, pipeline: str) -> None:
    (number,) = [n for n in world.builder.requests if world.builder.statuses[n] == "queued"]
    said = {"reference": "", "shell": "/bin/sh", "workdir": "/"}
    tag = world.builder.requests[number].tag
    world.blobs.put(f"builds/{ME.org}/{tag}/result.json", json.dumps(said).encode())
    world.builder.images.add((ME.org, tag))
    world.builder.statuses[number] = "succeeded"
    world.now += 3
    world.get(pipeline)


def why(world: World, pipeline: str, path: str = "/a") -> Why:
    return asyncio.run(world.pipelines().get_why(WhyParams(id=pipeline, path=path)))


def run(world: World, tree: dict[str, Any], given: dict[str, Any], *fail: str) -> str:
    pipeline = world.launch(tree, program=SCRIPT, title="checks", **given)
    build(world, pipeline)
    world.run_out(lambda path: Cause.EXIT_CODE if path in fail else None)
    return pipeline


def test_changed_file_of_the_copied_code_is_named(world: World) -> None:
    tree = serial("a", image_name="own")
    first = run(world, tree, code(world, "1", train="1", lib__features="1", gone="x"))
    second = run(world, tree, code(world, "2", train="1", lib__features="2", new="y"))

    found = why(world, second)

    assert (found.reason, found.pipeline) == (f"differs from {first} attempt 1", first)
    (changed,) = found.changed
    assert changed.field == "code"
    assert changed.names == ("gone.py", "lib/features.py", "new.py")
    assert "base image" in found.equal
    plan = world.continue_with(
        second, tree, program=SCRIPT, preview=True, **code(world, "3", train="3", new="y")
    )
    assert [each.reason for each in plan.nodes] == ["code changed: lib/features.py, train.py"]


def test_changed_code_without_its_archive_is_named_as_a_field(world: World) -> None:
    tree = serial("a", image_name="own")
    run(world, tree, code(world, "1", train="1"))
    second = run(world, tree, code(world, "2", train="2"))
    world.blobs.delete(context_key(ME.org, "1" * 64))

    (changed,) = why(world, second).changed

    assert (changed.field, changed.names) == ("code", ())


def test_only_named_secrets_reach_a_command_and_are_compared(world: World) -> None:
    def put(**values: str) -> None:
        secrets = tuple(SecretValue(key=key, value=value) for key, value in values.items())
        asyncio.run(world.pipelines().put_secrets(PutSecrets(secrets=secrets)))

    put(NPM="hidden-1", OTHER="hidden-2")
    tree = serial(leaf("one", secrets=["NPM"]), leaf("none", secrets=[]), leaf("all"), name="root")
    tree["type"] = "Parallel"
    pipeline = world.launch(tree, program=SCRIPT, title="secrets")
    world.serve()
    found = {
        path: {"NPM", "OTHER"} & set(worker.job.env)  # type: ignore[union-attr]
        for path, worker in world.running().items()
    }
    world.run_out()
    world.now += 10
    put(OTHER="hidden-3")
    world.control(pipeline, "reset", "/")
    world.control(pipeline, "run")
    world.run_out()

    assert found == {"/one": {"NPM"}, "/none": set(), "/all": {"NPM", "OTHER"}}
    assert [why(world, pipeline, path).changed for path in ("/one", "/none")] == [(), ()]
    (changed,) = why(world, pipeline, "/all").changed
    assert (changed.field, changed.names) == ("secrets", ("OTHER",))
