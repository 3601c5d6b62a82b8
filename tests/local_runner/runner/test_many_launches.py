"""Many clients that launch at the same time, while old pipelines leave the memory."""

import asyncio
import json
from functools import cache

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.api.dispatch import Headers, Service
from conducto_core.api.idempotency import IdempotentExecutor, MemoryResponses
from conducto_core.api.operation import API_ROOT
from conducto_core.run.model.params import ListParams
from conducto_core.run.model.requests import LaunchRequest, PipelineSummary
from conducto_core.run.operations import LAUNCH
from conducto_local.run import pipelines as pipeline_cache
from support.local import Run, local_runner

CLIENTS = 30


@cache  # equal requests have equal bodies: a tree names the calls that made it
def form(client):
    root = co.Serial()
    root["a"] = co.Exec(f"echo {client} >> $CONDUCTO_DATA_USER/ran")
    return to_launch_form(root)


async def launch(service, client, key):
    body = json.dumps({"tree": form(client), "engine": "process", "run": True}).encode()
    match = service.find("POST", API_ROOT + LAUNCH.path)
    response = await service.respond(match, "", body, Headers(idempotency_key=key))
    assert response.status == 200, response.body
    return PipelineSummary.model_validate_json(response.body)


async def test_thirty_launches_at_once_on_a_full_cache_all_return_their_pipeline(tmp_path):
    async with local_runner(tmp_path / "home", "process") as local:
        service = Service(local.pipelines, once=IdempotentExecutor(MemoryResponses()))
        for number in range(pipeline_cache.KEPT_LOADED + 1):
            await local.run(form(f"old-{number}"))

        launched = await asyncio.gather(
            *(launch(service, n, f"key-{n}") for n in range(CLIENTS)),
            *(launch(service, n, f"key-{n}") for n in range(CLIENTS)),  # sent again at once
        )
        again = await asyncio.gather(*(launch(service, n, f"key-{n}") for n in range(CLIENTS)))

        ids = [one.pipeline.id for one in launched]
        assert len(set(ids)) == CLIENTS
        assert ids[:CLIENTS] == ids[CLIENTS:] == [one.pipeline.id for one in again]
        for one in launched[:CLIENTS]:
            assert (await Run(local, one).settled()).state == "done"
        ran = (local.home.user_data / "ran").read_text().split()
        assert sorted(ran) == sorted(
            [
                *map(str, range(CLIENTS)),
                *(f"old-{n}" for n in range(pipeline_cache.KEPT_LOADED + 1)),
            ]
        )


class NoAnswers(MemoryResponses):
    """The memory of agents that are killed before they note a response."""

    def finish(self, key: str, response: bytes) -> None:
        """Note nothing."""


async def test_launch_that_was_cut_off_returns_its_pipeline(tmp_path):
    responses = NoAnswers()
    async with local_runner(tmp_path / "home", "process") as local:
        first = await launch(
            Service(local.pipelines, once=IdempotentExecutor(responses)), "mine", "k"
        )
        await Run(local, first).settled()

    async with local_runner(tmp_path / "home", "process") as local:
        service = Service(local.pipelines, once=IdempotentExecutor(responses))
        again = await launch(service, "mine", "k")
        await launch(service, "other", "k2")

        assert again.pipeline.id == first.pipeline.id
        assert (await Run(local, again).settled()).state == "done"
        assert len((await local.pipelines.list_pipelines(ListParams())).pipelines) == 2
        assert (local.home.user_data / "ran").read_text().split().count("mine") == 1


async def test_launch_interrupted_before_its_first_effect_is_executed(tmp_path):
    async with local_runner(tmp_path / "home", "process") as local:
        request = LaunchRequest(tree=form("late"), engine="process", run=True)
        launched = await local.pipelines.launch(request, "k", repeated=True)

        assert (await Run(local, launched).settled()).state == "done"


async def test_one_key_in_two_profiles_names_two_pipelines(tmp_path):
    async def launch(profile, *, repeated=False):
        async with local_runner(tmp_path, "process", profile=profile) as local:
            request = LaunchRequest(tree=to_launch_form(co.Exec("true")), engine="process")
            launched = await local.pipelines.launch(request, "key", repeated=repeated)
            return launched.pipeline.id

    first, second = await launch("one"), await launch("two")
    again = await launch("one", repeated=True)

    assert first != second  # the names of containers, networks and snapshots have the id
    assert again == first
