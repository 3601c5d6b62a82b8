"""An export comes over a real socket from the fake and the local runner, and from the cloud."""

from __future__ import annotations

import asyncio
import http.client
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chalicelib.logs.port import LogKey
from conducto_client import ApiError
from conducto_core.run.model.params import PipelineParams
from support.api_server import TOKEN
from support.cloud.world import STRANGER, World
from support.fixtures import OUTPUT, Scene, real, scripted
from support.trees import leaf, serial


@pytest.fixture(params=[scripted, real], ids=["fake", "local runner"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path):
    opened: AbstractAsyncContextManager[Scene] = request.param(tmp_path)
    async with opened as scene:
        yield scene


async def test_export_is_one_page_with_failures_and_output(scene: Scene) -> None:
    pipeline = await scene.played(title="Build of the night", owner="ada", tags=("nightly",))

    page = (await scene.ask(lambda c: c.export(pipeline))).decode()

    assert page.startswith("<!doctype html>")
    for told in ("Build of the night", "ada", "nightly", "Failures (1)", "/group/bad", "exit "):
        assert told in page
    assert ">bad</pre>" in page  # what it printed
    assert OUTPUT.splitlines()[-1] in page
    assert "4 of 4 done" not in page
    assert "red" not in page.partition("<body>")[2]  # the value of COLOUR


async def test_the_beginning_of_an_id_is_enough(scene: Scene) -> None:
    pipeline = await scene.launched()

    page = await scene.ask(lambda c: c.export(pipeline[:-1]))

    assert f"conducto export {pipeline}" in page.decode()


async def test_missing_pipeline_is_not_exported(scene: Scene) -> None:
    with pytest.raises(ApiError) as caught:
        await scene.ask(lambda c: c.export("nowhere"))

    assert caught.value.status == 404


async def test_a_browser_saves_it_under_its_title(scene: Scene) -> None:
    pipeline = await scene.launched(title="Build of the night")

    def fetch() -> tuple[str, str, int]:
        with closing(http.client.HTTPConnection(urlsplit(scene.endpoint.url).netloc)) as server:
            address = f"/api/v1/pipelines/{pipeline}/export"
            server.request("GET", address, headers={"Authorization": f"Bearer {TOKEN}"})
            response = server.getresponse()
            headers = response.headers
            size = len(response.read())
            return headers["content-disposition"], headers["content-length"], size

    named, said, size = await asyncio.to_thread(fetch)

    assert named == "attachment; filename*=UTF-8''Build-of-the-night.html"
    assert int(said) == size > 0


# ---- the cloud --------------------------------------------------------------------------------


def exported(world: World, pipeline_id: str) -> str:
    params = PipelineParams(id=pipeline_id)

    async def read() -> bytes:
        download = await world.pipelines().export_pipeline(params)
        return b"".join([chunk async for chunk in download.chunks])

    return asyncio.run(read()).decode()


def test_a_run_in_the_cloud_is_the_same_page() -> None:
    world = World()
    pipeline_id = world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    (worker,) = world.living()
    assert worker.job is not None
    path = worker.job.path
    world.cloud.storage.logs.append(LogKey(pipeline_id, path, 1, "stderr"), 0, b"no <such> thing\n")
    worker.finish(exit_code=7)

    page = exported(world, pipeline_id)

    for told in ("Failures (1)", path, "exit 7", "no &lt;such&gt; thing", "in the cloud"):
        assert told in page


def test_other_organisation_gets_no_token() -> None:
    world = World()
    pipeline_id = world.launch(leaf("a"), run=False)
    params = PipelineParams(id=pipeline_id)

    with pytest.raises(Exception, match=pipeline_id):
        asyncio.run(world.pipelines(STRANGER).export_pipeline(params))
