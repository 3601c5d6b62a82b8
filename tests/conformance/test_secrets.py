"""Commands get the same secrets on both targets, whatever node names them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.secrets.model import PutSecrets, SecretValue
from support.cloud.world import World
from support.containers import BUSYBOX as IMAGE
from support.local import local_runner

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("NPM", "AWS", "OTHER")
SECRETS = PutSecrets(secrets=tuple(SecretValue(key=key, value=f"value-of-{key}") for key in NAMES))
PRINT = "for name in NPM AWS OTHER; do if printenv $name >/dev/null; then echo $name; fi; done"
EXPECTED = {
    "/all": {*NAMES},
    "/none": set(),
    "/group/inherited": {"NPM"},
    "/group/replaced": {"AWS", "OTHER"},
    "/group/deep/inherited": {"NPM"},
    "/group/empty": set(),
    "/unknown": {"AWS"},  # there is no secret of the second name
}


def tree() -> co.Parallel:
    root = co.Parallel(image=IMAGE, cpu=0.25, mem=0.25)
    root["all"] = co.Exec(PRINT)
    root["none"] = co.Exec(PRINT, secrets=[])
    root["group"] = co.Parallel(secrets=["NPM"])
    root["group/inherited"] = co.Exec(PRINT)
    root["group/replaced"] = co.Exec(PRINT, secrets=["AWS", "OTHER"])
    root["group/deep"] = co.Serial()
    root["group/deep/inherited"] = co.Exec(PRINT)
    root["group/empty"] = co.Exec(PRINT, secrets=[])
    root["unknown"] = co.Exec(PRINT, secrets=["AWS", "MISSING"])
    return root


async def test_commands_get_only_the_secrets_that_a_node_names(tmp_path: Path) -> None:
    async with local_runner(tmp_path, "process") as local:
        await local.pipelines.put_secrets(SECRETS)
        run = await local.run(tree())
        here = {path: set((await run.output(path)).decode().split()) for path in EXPECTED}

    assert here == EXPECTED
    assert await asyncio.to_thread(_in_the_cloud) == EXPECTED


def _in_the_cloud() -> dict[str, set[str]]:
    world = World()
    asyncio.run(world.pipelines().put_secrets(SECRETS))
    request = LaunchRequest(tree=to_launch_form(tree()), run=True)
    asyncio.run(world.pipelines().launch(request))
    found: dict[str, set[str]] = {}
    while set(found) != set(EXPECTED):
        world.serve()
        for path, worker in world.running().items():
            assert worker.job is not None
            found[path] = {*NAMES} & set(worker.job.env)
            worker.finish()
    world.run_out()
    return found
