"""The planned container of a debug shell, if the attempt differs from the definition."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import conducto as co
from conducto_core.debug.model import DebugPlan, DebugRequest
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action, Changes, ControlRequest
from conducto_core.secrets.port import SecretName, StoredSecret
from conducto_local.secrets.store import LocalSecrets
from support.local import Local, Run, local_runner
from support.stand_ins import call, ensure

pytestmark = pytest.mark.docker

BUSYBOX = "conducto-test/busybox:latest"
SECRET = "a-secret-of-the-tests"


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    ensure([BUSYBOX])
    async with local_runner(tmp_path, profile="plans") as runner:
        yield runner


async def planned(run: Run, path: str, attempt: int | None = None, **more: bool) -> DebugPlan:
    request = DebugRequest(path=path, attempt=attempt, **more)
    return await run.local.pipelines.debug(PipelineParams(id=run.id), request)


def leaf(command: str, folder: Path | None = None, **params: object) -> co.Serial:
    code = {} if folder is None else {"copy_dir": str(folder)}
    root = co.Serial(image=co.Image(image=BUSYBOX, name="box", **code), mem=0.25)
    root["a"] = co.Exec(command, params=params)
    return root


async def test_attempt_keeps_its_definition_from_before_a_change(local: Local) -> None:
    run = await local.run(leaf("exit 1", env={"A": "old"}, cpu=0.5))
    changes = Changes(command="exit 0", cpu=0.25, env={"A": "new"})
    order = ControlRequest(action=Action.MODIFY, paths=("/a",), changes=changes)
    await local.pipelines.control(PipelineParams(id=run.id), order)

    ran = await planned(run, "/a")
    await run.control(Action.RESET, "/a")
    await run.settled()
    first, second = await planned(run, "/a", 1), await planned(run, "/a")

    assert ran == first
    assert (first.script.split("\n")[1], first.cpu, first.env["A"]) == ("exit 1", 0.5, "old")
    assert (second.script.split("\n")[1], second.cpu, second.env["A"]) == ("exit 0", 0.25, "new")
    assert (first.env["CONDUCTO_ATTEMPT"], second.env["CONDUCTO_ATTEMPT"]) == ("1", "2")


async def test_deleted_image_is_rebuilt_only_if_no_attempt_is_named(
    local: Local, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "file").write_text(str(tmp_path))  # so that no other test has this image
    run = await local.run(leaf("exit 1", code))
    image = str((await run.attempts("/a"))[0].image)
    call("DELETE", f"/images/{image}", {"force": "1"})

    with pytest.raises(RefusedError, match=r"image of attempt 1, .*, is no longer on this machine"):
        await planned(run, "/a", 1)
    plan = await planned(run, "/a")

    assert call("GET", f"/images/{plan.image}/json")[0] == 200
    assert plan.notes == ("the image of attempt 1 was removed; this is the current one",)


async def test_node_of_a_regenerated_tree_is_opened_from_its_history(local: Local) -> None:
    def tree(name: str) -> str:
        made = co.Serial()
        made[name] = co.Exec(f"echo {name}; exit 1")
        return f"echo '<__conducto_serialization>{made.serialize()}</__conducto_serialization>'"

    root = co.Serial(image=BUSYBOX, mem=0.25)
    root["lazy"] = co.Lazy(tree("old"))
    run = await local.run(root)
    changes = Changes(command=tree("new"))
    order = ControlRequest(action=Action.MODIFY, paths=("/lazy/Generate",), changes=changes)
    await local.pipelines.control(PipelineParams(id=run.id), order)
    await run.control(Action.RESET, "/lazy")
    await run.settled()

    plan = await planned(run, "/lazy/Execute/old")

    assert plan.script.split("\n")[1] == "echo old; exit 1"
    assert plan.mem == 0.25
    assert "/lazy/Execute/old is no longer in the tree" in plan.notes[0]


async def test_plan_shows_a_secret_written_in_the_tree(local: Local) -> None:
    store = LocalSecrets(local.home, lambda: None)
    store.put([StoredSecret(SecretName("user", "TOKEN"), SECRET)])
    run = await local.run(leaf(f"echo {SECRET}", env={"COPY": SECRET}))
    assert SECRET not in str(await run.attempts("/a"))

    plan = await planned(run, "/a")

    assert plan.script.split("\n")[1] == f"echo {SECRET}"
    assert plan.env["COPY"] == SECRET
    assert plan.secrets["TOKEN"].get_secret_value() == SECRET
    assert SECRET not in repr(plan.secrets)


async def test_a_secret_wins_over_the_nodes_variable_of_its_name(local: Local) -> None:
    LocalSecrets(local.home, lambda: None).put([StoredSecret(SecretName("user", "A"), SECRET)])
    run = await local.run(leaf("true", env={"A": "the node's"}))

    plan = await planned(run, "/a")

    assert "A" not in plan.env
    assert set(plan.secrets) == {"A"}


async def test_a_shared_container_is_as_large_as_its_largest_member(local: Local) -> None:
    root = co.Serial(image=BUSYBOX, container_reuse_context=co.ContainerReuseContext.NEW)
    root["small"] = co.Exec("true", mem=0.25)
    root["large"] = co.Exec("true", mem=0.5)
    run = await local.run(root)

    assert (await planned(run, "/small")).mem == 0.5


async def test_a_broken_image_says_why_there_is_no_shell(local: Local) -> None:
    image = co.Image(dockerfile_text="FROM conducto-test/busybox:latest\nRUN false", name="broken")
    root = co.Serial(image=image, mem=0.25)
    root["a"] = co.Exec("true")
    run = await local.run(root)

    with pytest.raises(RefusedError, match=r"^image broken: "):
        await planned(run, "/a")


async def test_code_that_is_not_here_any_more_cannot_be_mounted(
    local: Local, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    run = await local.run(leaf("true", code))
    code.rmdir()

    with pytest.raises(RefusedError, match=r"/a: no live shell: .*code.* is not on this machine"):
        await planned(run, "/a", live=True)


@pytest.mark.parametrize(
    ("path", "attempt", "error", "says"),
    [
        ("/", None, RefusedError, "/: is a Serial"),
        ("/b", None, NotFoundError, "/b: no such node"),
        ("/a", 7, NotFoundError, r"/a: no attempt 7 \(there are: 1\)"),
    ],
)
async def test_invalid_attempt_is_rejected(
    path: str, attempt: int | None, error: type[Exception], says: str, local: Local
) -> None:
    run = await local.run(leaf("true"))

    with pytest.raises(error, match=says):
        await planned(run, path, attempt)


async def test_plain_processes_have_no_container_to_open(tmp_path: Path) -> None:
    async with local_runner(tmp_path, "process") as local:
        root = co.Serial()
        root["a"] = co.Exec("true")
        run = await local.run(root)

        with pytest.raises(RefusedError, match="runs as plain processes"):
            await planned(run, "/a")
