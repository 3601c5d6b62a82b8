"""Buckets as directories of containers, on a real engine."""

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto_core.debug.model import DebugRequest
from conducto_core.run.model.params import PipelineParams
from conducto_local.debug.command import docker_line
from support.local import local_runner
from support.stand_ins import ensure

pytestmark = pytest.mark.docker


@pytest.fixture
async def local(tmp_path, monkeypatch):
    ensure(["busybox:latest"])
    monkeypatch.setenv("CONDUCTO_BUCKET_ACME_DATA", str(tmp_path / "acme"))
    (tmp_path / "acme" / "raw").mkdir(parents=True)
    (tmp_path / "acme" / "raw" / "x").write_text("from s3")
    async with local_runner(tmp_path / "home", "docker") as runner:
        yield runner


def root(**more):
    return co.Serial(
        image="busybox", buckets={"/data/raw": co.Bucket("s3://acme.data/raw")}, **more
    )


async def test_commands_read_and_write_below_the_prefix(local, tmp_path):
    tree = root()
    out = {"/out": co.Bucket("s3://acme.data/out/2026", mode="rw")}
    tree["copy"] = co.Exec("cp /data/raw/x /out/y && cat /out/y", buckets=out)
    run = await local.run(tree)

    assert await run.output("/copy") == b"from s3"
    assert (tmp_path / "acme" / "out" / "2026" / "y").read_text() == "from s3"


async def test_a_read_only_bucket_cannot_be_changed(local, tmp_path):
    tree = root()
    tree["write"] = co.Exec("touch /data/raw/new")
    tree["other"] = co.Exec("ls /data", buckets={"/data/raw": None})
    run = await local.run(tree)

    assert (await run.states())["/write"] == "error"
    assert b"Read-only file system" in await run.output("/write", "stderr")
    assert not (tmp_path / "acme" / "raw" / "new").exists()


async def test_a_container_with_a_bucket_is_not_used_for_others(local):
    tree = root()
    tree["with"] = co.Exec("hostname; test -e /data/raw/x")
    tree["without"] = co.Exec("hostname; test ! -e /data/raw/x", buckets={"/data/raw": None})
    run = await local.run(tree)

    assert (await run.states())["/"] == "done"
    assert await run.output("/with") != await run.output("/without")


async def test_a_link_out_of_the_directory_is_not_followed(local, tmp_path):
    (tmp_path / "acme" / "link").symlink_to(tmp_path)
    tree = co.Exec("ls /x", image="busybox", buckets={"/x": co.Bucket("s3://acme.data/link")})
    run = await local.run(tree)

    (attempt,) = await run.attempts("/")
    assert attempt.cause == "image"
    assert "is a link that leaves" in attempt.message


async def test_a_bucket_without_a_directory_is_refused_at_the_launch(local):
    tree = co.Exec("true", image="busybox", buckets={"/x": co.Bucket("s3://other-one/a")})
    with pytest.raises(DefinitionError) as refused:
        await local.launch(tree)

    assert "no directory of this machine stands for the bucket other-one" in str(refused.value)
    assert "CONDUCTO_BUCKET_OTHER_ONE" in str(refused.value)


async def test_processes_of_the_machine_have_no_buckets(tmp_path, monkeypatch):
    monkeypatch.setenv("CONDUCTO_BUCKET_ACME", str(tmp_path))
    async with local_runner(tmp_path / "home", "process") as local:
        tree = co.Exec("true", buckets={"/x": co.Bucket("s3://acme")})
        with pytest.raises(DefinitionError, match="buckets need containers"):
            await local.launch(tree)


async def test_the_configuration_names_a_directory(local, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / ".conducto" / "test" / "config"
    config.parent.mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    config.write_text(f"[buckets]\nmine = {tmp_path / 'mine'}\n")
    tree = co.Exec(
        "echo a > /x/a", image="busybox", buckets={"/x": co.Bucket("s3://mine", mode="rw")}
    )
    run = await local.run(tree)

    assert (await run.states())["/"] == "done"
    assert (tmp_path / "mine" / "a").read_text() == "a\n"


async def test_a_debug_shell_sees_a_bucket_as_the_command_does(local):
    tree = root()
    tree["a"] = co.Exec("exit 1")
    run = await local.run(tree)
    asked = DebugRequest(path="/a")
    plan = await local.pipelines.debug(PipelineParams(id=run.id), asked)

    (mount,) = (each for each in plan.data if each.target == "/data/raw")
    assert mount.read_only
    assert "target=/data/raw,readonly" in docker_line(plan)
