"""`conducto gc` with real containers: used resources stay and work, the others are removed."""

import json
import os
import uuid

import pytest

import conducto as co
from conducto_core.installation.model import GcRequest
from conducto_core.run.model.requests import Action
from conducto_local.agent.state_dir import StateDir, installation_id
from conducto_local.images.engine_images import LABEL_IMAGE_HOME
from conducto_local.run.attempt_records import LABEL_HOME
from support.containers import BUSYBOX as IMAGE
from support.containers import of_pipeline
from support.local import local_runner
from support.stand_ins import call, ensure

pytestmark = pytest.mark.docker


@pytest.fixture
def home(tmp_path):
    ensure(["busybox:latest"])
    return StateDir(tmp_path / "home", f"gc-{os.getpid()}")


def runner(home):
    return local_runner(home.base, profile=home.profile)


def tree(text=None, command="true"):
    image = IMAGE if text is None else co.Image(dockerfile_text=text)
    root = co.Serial(image=image, cpu=0.2, mem=0.1)
    root["a"] = co.Exec(command)
    return root


def some_text():
    """Return a Dockerfile for an image that no other test has, with a megabyte of its own."""
    made = f"head -c 1000000 /dev/urandom > /made; echo {uuid.uuid4().hex}"
    return f"FROM {IMAGE}\nRUN {made}\n"


async def image_of(run):
    (attempt,) = await run.attempts("/a")
    return attempt.image


def exists(reference):
    return call("GET", f"/images/{reference}/json")[0] == 200


async def gc(local, *, dry_run=False):
    return await local.pipelines.collect_garbage(GcRequest(dry_run=dry_run))


def names(report, kind):
    return [item.name for item in report.items if item.kind == kind]


async def test_images_of_archived_pipelines_go_and_those_of_live_ones_stay(home):
    async with runner(home) as local:
        kept, old = await local.run(tree(some_text())), await local.run(tree(some_text()))
        needed, unneeded = await image_of(kept), await image_of(old)
        await old.control(Action.ARCHIVE)

        planned = await gc(local, dry_run=True)
        still = exists(unneeded)
        done = await gc(local)

        assert unneeded in names(planned, "image")
        assert 1_000_000 <= planned.bytes < 3_000_000
        assert done.bytes == planned.bytes
        assert still
        assert (exists(needed), exists(unneeded)) == (True, False)
        assert all(item.freed for item in done.items if item.kind == "image")
        await kept.control(Action.RESET, "/a")
        await kept.settled()
        assert await image_of_last(kept) == needed


async def image_of_last(run):
    return (await run.attempts("/a"))[-1].image


async def test_an_image_that_was_freed_is_built_again(home):
    async with runner(home) as local:
        run = await local.run(tree(some_text()))
        await run.control(Action.ARCHIVE)
        await gc(local)
        await run.control(Action.WAKE)

        await run.control(Action.RESET, "/a")
        await run.control(Action.RUN)
        await run.settled()

        assert [a.cause for a in await run.attempts("/a")] == [None, None]


async def test_running_containers_are_kept(home):
    async with runner(home) as local:
        run = await local.launch(tree(command="echo here; test -e /go || sleep 60; echo on"))
        await run.printed("/a", b"here\n")
        before = of_pipeline(run)

        report = await gc(local)

        assert of_pipeline(run) == before
        assert names(report, "container") == []
        await run.control(Action.KILL, "/")


async def test_containers_of_abandoned_pipelines_are_removed(home):
    labels = {LABEL_HOME: installation_id(home), "com.conducto.pipeline": "zzz-zzz"}
    async with runner(home) as local:
        await local.run(tree())
        orphan, foreign = make(labels), make({**labels, LABEL_HOME: "somebody else"})
        try:
            report = await gc(local)

            assert len(names(report, "container")) == 1
            assert call("GET", f"/containers/{orphan}/json")[0] == 404
            assert call("GET", f"/containers/{foreign}/json")[0] == 200
        finally:
            call("DELETE", f"/containers/{foreign}", {"force": "1"})


def make(labels):
    body = json.dumps({"Image": IMAGE, "Cmd": ["true"], "Labels": labels}).encode()
    status, response = call("POST", "/containers/create", body=body, kind="application/json")
    assert status == 201, response
    return json.loads(response)["Id"]


async def test_foreign_container_of_a_conducto_image_is_kept(home):
    async with runner(home) as local:
        run = await local.run(tree(some_text()))
        image = await image_of(run)

    config = call("GET", f"/images/{image}/json")[1].decode()
    assert f'"{LABEL_IMAGE_HOME}":"{installation_id(home)}"' in config.replace(" ", "")
    assert f'"{LABEL_HOME}":"{installation_id(home)}"' not in config.replace(" ", "")


async def test_orphaned_snapshot_is_deleted(home):
    async with runner(home) as local:
        root = tree(command="exit 1")
        root.snapshot_on_error = True
        run = await local.run(root)
        (attempt,) = await run.attempts("/a")
        with_it = await gc(local)
        here = exists(attempt.snapshot)
        local.home.discard_pipeline(run.id)
        local.pipelines._scheduler.unload(local.pipelines.live(run.id))
        local.pipelines._store.delete(run.id)

        report = await gc(local)

        assert names(with_it, "snapshot") == []
        assert here
        assert names(report, "snapshot") == [attempt.snapshot]
        assert not exists(attempt.snapshot)
        assert local.home.discarded() == []


async def test_snapshots_of_a_directory_without_a_pipeline_stay(home):
    """A lost store does not know the image, and no other store can make it again."""
    async with runner(home) as local:
        root = tree(command="exit 1")
        root.snapshot_on_error = True
        run = await local.run(root)
        (attempt,) = await run.attempts("/a")
        local.pipelines._scheduler.unload(local.pipelines.live(run.id))
        local.pipelines._store.delete(run.id)

        report = await gc(local)

        assert names(report, "snapshot") == []
        assert exists(attempt.snapshot)
        assert [item.freed for item in report.items if item.kind == "files"] == [False]
        assert run.data.exists()
        call("DELETE", f"/images/{attempt.snapshot}", {"force": "1"})


# ---- several homes on one engine -----------------------------------------------------------------


@pytest.fixture
def neighbour(home, tmp_path):
    """Return the home of another user, with a profile of the same name."""
    return StateDir(tmp_path / "neighbour", home.profile)


def container_of(mark, pipeline="zzz-zzz"):
    return make({LABEL_HOME: mark, "com.conducto.pipeline": pipeline})


def is_there(container):
    return call("GET", f"/containers/{container}/json")[0] == 200


@pytest.fixture
def containers():
    """Collects containers to remove at the end."""
    made = []
    yield made
    for each in made:
        call("DELETE", f"/containers/{each}", {"force": "1"})


async def test_a_profile_of_the_same_name_in_another_home_is_left_alone(
    home, neighbour, containers
):
    async with runner(neighbour) as other:
        theirs = await other.run(tree(some_text()))
        image = await image_of(theirs)
        await theirs.control(Action.ARCHIVE)
        containers.append(container_of(installation_id(neighbour)))
        async with runner(home) as local:
            await local.run(tree())

            mine = await gc(local)

            assert names(mine, "container") == names(mine, "image") == []
            assert is_there(containers[0])
            assert exists(image)
        theirs_freed = await gc(other)

    assert len(names(theirs_freed, "container")) == 1
    assert image in names(theirs_freed, "image")
    assert not exists(image)


async def test_a_home_of_the_same_path_is_left_alone(home, containers):
    """Two containers that share the engine's socket have such homes."""
    async with runner(home) as local:
        run = await local.run(tree(some_text()))
        image = await image_of(run)
        await run.control(Action.ARCHIVE)
    containers.append(container_of(installation_id(home)))
    home.base.rename(home.base.with_name("in another container"))

    async with runner(home) as local:
        await local.run(tree())
        report = await gc(local)

    assert names(report, "container") == names(report, "image") == []
    assert is_there(containers[0])
    assert exists(image)
    call("DELETE", f"/images/{image}", {"force": "1"})


async def test_an_agent_that_starts_removes_the_leftovers_of_its_own_home_only(
    home, neighbour, containers
):
    mine, theirs = container_of(installation_id(home)), container_of(installation_id(neighbour))
    containers += [mine, theirs]

    async with runner(home) as local:
        await local.run(tree())

    assert not is_there(mine)
    assert is_there(theirs)


async def test_an_image_that_another_home_freed_is_made_again(home, neighbour):
    """Images are shared by content: the creator of one may free it while others name it."""
    text = some_text()
    async with runner(neighbour) as other, runner(home) as local:
        theirs, mine = await other.run(tree(text)), await local.run(tree(text))
        assert await image_of(theirs) == await image_of(mine)
        await theirs.control(Action.ARCHIVE)
        await mine.control(Action.SLEEP)
        await gc(other)
        gone = not exists(await image_of(mine))
        await mine.control(Action.WAKE)

        await mine.control(Action.RESET, "/a")
        await mine.control(Action.RUN)
        await mine.settled()

        assert gone
        assert [attempt.cause for attempt in await mine.attempts("/a")] == [None, None]
