"""A scripted solver repairs broken pipelines that need real containers, with the tools only.

The others of the twenty cases run as plain processes (``tests/local_runner/assistants``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.secrets.model import PutSecrets, SecretValue
from support.fixtures import Scene, real
from support.local import eventually
from support.solver import Solver, assistant
from support.stand_ins import call, ensure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.docker

BUSYBOX = "conducto-test/busybox:latest"
GOOD = co.Image(image=BUSYBOX, name="good")
#: An assistant may send 600 requests in a minute.
POLL_SECONDS = 0.3
SEEN = "/conducto/data/pipeline/seen"
FIRST = f"test -e {SEEN} || {{ touch {SEEN}; sleep 600; }}"


def tree(command: str, image: Any = GOOD, **params: Any) -> co.Serial:
    root = co.Serial(image=GOOD, cpu=0.1, mem=0.1)
    root["broken"] = co.Exec(command, image=image, **params)
    root["after"] = co.Exec("echo after")
    return root


def group() -> co.Serial:
    root = co.Serial(image=GOOD, cpu=0.1, mem=0.1)
    root["broken"] = co.Serial(max_time=1)
    root["broken/one"] = co.Exec("sleep 3")
    return root


class Case(NamedTuple):
    """A broken pipeline.

    Attributes:
        tree: Makes it; its node ``/broken`` fails.
        words: What names the cause, outside of the command's own text.
        repair: Arguments of `modify`; None: it passes when it is run again.
    """

    tree: Callable[[], co.Serial]
    words: tuple[str, ...]
    repair: dict[str, Any] | None


CASES = {
    "out of memory": Case(
        lambda: tree("head -c 80000000 /dev/zero | tail -n 1 >/dev/null", mem=0.05),
        ("out of memory: mem is 0.05 GB",),
        {"mem": 1},
    ),
    "wrong secret name": Case(
        lambda: tree("test -n ${NPM_TOKN:?missing}"),
        ("NPM_TOKN: missing",),
        {"command": "test -n ${NPM_TOKEN:?missing}"},
    ),
    "image build": Case(
        lambda: tree("true", co.Image(dockerfile_text=f"FROM {BUSYBOX}\nRUN no-such-program")),
        ("image", "no-such-program"),
        {"image": "good"},
    ),
    "base image": Case(
        lambda: tree("true", co.Image(dockerfile_text="FROM conducto-test/missing:1\nRUN true")),
        ("image", "conducto-test/missing"),
        {"image": "good"},
    ),
    "time limit in a group": Case(group, ("the group's max_time is 1 s",), {"max_time": 120}),
}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    ensure([BUSYBOX])
    async with real(tmp_path, profile="repairs") as found:
        secret = SecretValue(key="NPM_TOKEN", value="xyz123")
        await found.ask(lambda client: client.put_secrets(PutSecrets(secrets=(secret,))))
        yield found


@pytest.fixture
async def solver(scene: Scene, record_property: Callable[[str, object], None]) -> Solver:
    return Solver(await assistant(scene, "author"), record_property)


async def launch(scene: Scene, root: co.Serial) -> str:
    request = LaunchRequest(tree=to_launch_form(root), run=True)
    return (await scene.ask(lambda client: client.launch(request))).pipeline.id


async def settled(scene: Scene, solver: Solver, id_: str) -> None:
    while "not settled yet" in await solver.client.call("wait", id=id_):
        pass


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_cause_is_named_and_repaired(scene: Scene, solver: Solver, case: Case) -> None:
    id_ = await launch(scene, case.tree())
    await settled(scene, solver, id_)

    await solver.find_cause("@failed", case.words)
    await solver.repair(id_, "/broken", case.repair)


async def test_lost_container_is_named_and_its_command_run_again(
    scene: Scene, solver: Solver
) -> None:
    id_ = await launch(scene, tree(FIRST))
    while "running" not in await solver.client.call("wait", id=id_, until="change", seconds=10):
        pass
    # A command whose container is lost before it has started is queued again.
    await eventually(lambda: scene.ask(lambda client: list(client.data(id_))))
    (attempt,) = await scene.ask(lambda client: client.attempts(id_, "/broken"))
    call("DELETE", f"/containers/{attempt.container}?force=1")
    await settled(scene, solver, id_)

    await solver.find_cause(id_, ("its container or worker was lost",))
    await solver.repair(id_, "/broken", None)


async def test_missing_file_is_found_by_a_command_in_the_container(
    scene: Scene, solver: Solver
) -> None:
    text = f"FROM {BUSYBOX}\nRUN mkdir -p /opt/settings && echo fast > /opt/settings/mode.cfg"
    image = co.Image(dockerfile_text=text)
    id_ = await launch(scene, tree("cat /opt/settings/mode.conf", image))
    await settled(scene, solver, id_)

    await solver.find_cause(id_, ("No such file or directory",))
    seen = await solver.call(
        "exec_in_failure", id=id_, path="/broken", command="ls -1 /opt/settings"
    )
    name = seen.partition("| ")[2].splitlines()[0]
    await solver.repair(id_, "/broken", {"command": f"cat /opt/settings/{name}"})


async def says(solver: Solver, text: str, pipeline: str) -> bool:
    return text in await solver.client.call("why_waiting", id=pipeline)


async def test_full_limit_is_named_and_its_holder_cancelled(scene: Scene, solver: Solver) -> None:
    limit = co.Limit("database", 1)
    first = await launch(scene, tree("sleep 600", limits=limit))
    await eventually(lambda: says(solver, "1 running", first), 60, POLL_SECONDS)
    second = await launch(scene, tree("true", limits=limit))
    # It waits for its image first.
    await eventually(lambda: says(solver, "database", second), 60, POLL_SECONDS)

    await solver.find_cause(second, ("database",), "why_waiting")
    await solver.act("cancel", id=first)
    await solver.see_end(second)


async def test_invalid_tree_of_a_lazy_is_named(scene: Scene, solver: Solver) -> None:
    root = co.Serial(image=GOOD, cpu=0.1, mem=0.1)
    root["broken"] = co.Lazy("echo 'no tree here'")
    id_ = await launch(scene, root)
    await settled(scene, solver, id_)

    await solver.find_cause(id_, ("generated no valid tree",))
    solver.note(repaired=False)  # its script must change
