"""The Python client on this machine: ``co.launch`` and the handles, with a real agent."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

import conducto
import conducto as co
import conducto_cli
import conducto_client
import conducto_core
import conducto_local
from conducto import errors
from support.running import person_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_core.programs.history import PipelineComparison
    from support.running import Person

TIMEOUT = 60.0


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A user with an agent, which this process uses as well."""
    with person_at(tmp_path_factory.mktemp("client")) as someone, pytest.MonkeyPatch.context() as m:
        m.setenv("CONDUCTO_BASE_DIR", str(someone.base))
        m.setenv("CONDUCTO_PROFILE", someone.profile)
        m.setenv("CONDUCTO_SECRET_STORE", "file")
        m.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        yield someone


pytestmark = pytest.mark.usefixtures("person")


def grid(depths: list[int]) -> co.Parallel:
    """Train at several depths."""
    root = co.Parallel()
    for depth in depths:
        root[f"d{depth}"] = co.Exec(f"echo depth {depth}; echo err >&2; test {depth} != 5")
    return root


def gated(gate: Path, **params: Any) -> co.Serial:
    """Return a tree that runs until a file exists."""
    root = co.Serial(**params)
    root["wait"] = co.Exec(f"until test -e {gate}; do sleep 0.05; done")
    root["end"] = co.Exec("true")
    return root


def launch(*arguments: Any, **options: Any) -> co.Pipeline:
    return co.launch(*arguments, target="local", engine="process", **options)


def eventually(condition: Any) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_pipeline_is_launched_waited_for_and_repaired() -> None:
    pipeline = launch(grid, depths=[3, 5], title="grid")

    assert pipeline.wait(timeout=TIMEOUT) == "error"
    assert (pipeline.state, pipeline.counts.done, pipeline.counts.error) == ("error", 1, 1)
    assert pipeline.url.endswith(f"/p/{pipeline.id}")
    (failed,) = pipeline.nodes("/**", state="error")
    assert (failed.path, failed.exit_code) == ("/d5", 1)
    assert failed.logs(tail=20) == "depth 5\nerr\n"
    with pytest.raises(co.PipelineFailed, match="1 of 2 Execs failed") as caught:
        pipeline.wait(check=True)
    assert f"conducto rerun {pipeline.id} --failed" in caught.value.report

    pipeline["/d5"].modify(command="true")
    assert pipeline.rerun(failed=True).paths == ("/d5",)

    assert pipeline.wait(TIMEOUT, check=True) == "done"
    assert [attempt.number for attempt in pipeline["/d5"].attempts()] == [1, 2]
    assert pipeline.rerun(failed=True).affected == 0


def test_nodes_are_selected_by_patterns_and_filters() -> None:
    root = co.Parallel()
    for name in ("unit", "web"):
        root[name] = co.Parallel()
        for number in range(3):
            root[name][f"t{number}"] = co.Exec("true")
    root["odd*"] = co.Exec("true")
    pipeline = launch(root, run=False)

    def paths(*arguments: Any, **filters: Any) -> list[str]:
        return [node.path for node in pipeline.nodes(*arguments, **filters)]

    assert len(paths()) == 10
    assert paths("/*") == ["/unit", "/web", "/odd*"]
    assert paths("/unit/*") == ["/unit/t0", "/unit/t1", "/unit/t2"]
    assert paths("**/t1") == ["/unit/t1", "/web/t1"]
    assert paths("/web/t[12]", state="pending") == ["/web/t1", "/web/t2"]
    assert paths("/web/**", text="t2") == ["/web/t2"]
    assert paths("/nowhere/**") == paths("/web/**", state="error") == []
    assert paths("unit/t1") == ["/unit/t1"]
    assert [node.path for node in pipeline["/unit"].nodes()] == paths("/unit/*")
    assert [node.path for node in pipeline] == paths()
    assert ("/unit" in pipeline, "/uni" in pipeline) == (True, False)
    assert pipeline.skip("/web/*").affected == 3
    assert pipeline["/odd*"].skip().paths == ("/odd*",)
    for wrong in (lambda: pipeline["/uni"], lambda: pipeline.reset("/uni")):
        with pytest.raises(KeyError, match="has no such node; did you mean '/unit'"):
            wrong()
    with pytest.raises(errors.NodeNotFoundError, match="matches no node"):
        pipeline.reset("/nowhere/*")


def test_every_action_of_the_command_line_is_a_method(tmp_path: Path) -> None:
    pipeline = launch(gated(tmp_path / "gate"), run=False, title="actions", tags=["nightly"])
    assert (pipeline.wait(TIMEOUT), pipeline.settled) == ("pending", True)
    assert co.list_pipelines(tag="nightly", target="local") == [pipeline]
    assert pipeline.skip("/end", preview=True).preview

    pipeline.skip("/end")
    pipeline.unskip("/end")
    pipeline.run()
    eventually(lambda: pipeline["/wait"].state == "running")
    pipeline.pause()
    pipeline.kill()
    assert pipeline.wait(TIMEOUT) == "error"
    assert pipeline["/wait"].state == "killed"
    pipeline["/wait"].reset()
    pipeline.sleep()
    pipeline.wake()
    assert pipeline["/wait"].refresh().state == "pending"
    (tmp_path / "gate").touch()
    pipeline["/wait"].rerun()
    assert pipeline.wait(TIMEOUT, check=True) == "done"
    assert pipeline.reset("/", preview=True).affected == 2
    pipeline.rebuild("/end")
    assert pipeline.export(tmp_path / "page.html").read_text().startswith("<!doctype html>")
    pipeline.archive()
    assert pipeline not in co.list_pipelines(title="actions", target="local")
    assert pipeline in co.list_pipelines(title="actions", archived=True, target="local")

    pipeline.delete()

    with pytest.raises(errors.PipelineNotFoundError, match="no pipeline"):
        co.get_pipeline(pipeline.id)
    for use in (
        lambda: pipeline.state,
        pipeline.wait,
        pipeline.run,
        pipeline.delete,
        lambda: pipeline["/end"],
        lambda: [*pipeline.follow()],
    ):
        with pytest.raises(errors.PipelineNotFoundError):
            use()
    with pytest.raises(errors.ApiError) as caught:
        pipeline.data.list()
    assert caught.value.status == 404


def test_approvals_are_decided() -> None:
    root = co.Parallel()
    root["ship"] = co.Approve("Release?")
    root["sell"] = co.Approve("Sell?")
    pipeline = launch(root)
    eventually(lambda: len(pipeline.approvals) == 2)

    assert {one.path: one.message for one in pipeline.approvals} == {
        "/ship": "Release?",
        "/sell": "Sell?",
    }
    pipeline["/ship"].reset()
    with pytest.raises(errors.ApiError, match=r"it was asked again, .* --attempt 2"):
        pipeline["/ship"].approve()
    decision = pipeline["/ship"].approve(comment="looks good", attempt=2).decision
    assert decision is not None
    assert (decision.approved, decision.comment) == (True, "looks good")

    async def reject() -> str:
        twin = await co.aio.get_pipeline(pipeline.id)
        assert [one.path for one in await twin.approvals()] == ["/sell"]
        node = await twin.node("/sell")
        await node.reject()
        return node.state.value

    assert asyncio.run(reject()) == "error"
    assert pipeline.wait(TIMEOUT) == "error"
    assert pipeline.approvals == ()
    with pytest.raises(errors.ApiError, match="waits for no decision"):
        pipeline["/sell"].approve()


def test_changes_and_output_can_be_followed() -> None:
    root = co.Serial()
    root["a"] = co.Exec("for i in 1 2 3; do echo line $i; sleep 0.05; done; printf end")
    pipeline = launch(root)

    lines = [*pipeline["/a"].follow_logs()]
    changes = [*pipeline.follow()]

    assert lines == ["line 1\n", "line 2\n", "line 3\n", "end"]
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    assert [str(change.state) for change in changes if change.path == "/a"] == [
        "queued",
        "running",
        "done",
    ]


def test_data_files_are_read_and_written(tmp_path: Path) -> None:
    root = co.Serial()
    root["a"] = co.Exec(
        'cd "$CONDUCTO_DATA_PIPELINE" && cat in.txt && mkdir -p p/q && echo x >p/q/r'
    )
    pipeline = launch(root, run=False)
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "leaf").write_text("leaf")

    with pipeline.data.open("in.txt", "w") as file:
        file.write("héllo\n")
    half = pipeline.data.open("half.txt", "w")
    half.write("half")
    half.__exit__(ZeroDivisionError, None, None)
    assert [entry.name for entry in pipeline.data.upload(tmp_path / "tree")] == ["tree/sub/leaf"]
    pipeline.run()
    pipeline.wait(TIMEOUT, check=True)

    assert pipeline["/a"].logs() == "héllo\n"
    assert pipeline.data.read("p/q/r") == b"x\n"
    with pipeline.data.open("p/q/r") as binary, pipeline.data.open("in.txt", "r") as text:
        assert (binary.read(), text.read()) == (b"x\n", "héllo\n")
    assert pipeline.data.download("p/", tmp_path) == tmp_path / "p"
    assert (tmp_path / "p" / "q" / "r").read_text() == "x\n"
    assert pipeline.data.download("in.txt", tmp_path / "copy") == tmp_path / "copy"
    pipeline.data.delete("p")
    assert [entry.name for entry in pipeline.data.list()] == ["in.txt", "tree"]
    with pytest.raises(errors.ApiError):
        pipeline.data.open("missing")
    connection = co.connect("local")
    connection.data.write("last.txt", "text")
    assert connection.data.read("last.txt") == b"text"


def test_secrets_are_set_and_never_shown() -> None:
    connection = co.connect("local")
    connection.secrets.set("CLIENT_KEY", "very-secret-value")
    root = co.Serial()
    root["a"] = co.Exec('test "$CLIENT_KEY" = very-secret-value && echo "$CLIENT_KEY"')
    pipeline = launch(root)

    assert pipeline.wait(TIMEOUT, check=True) == "done"
    assert "very-secret" not in pipeline["/a"].logs()
    assert [secret.key for secret in connection.secrets.list()] == ["CLIENT_KEY"]
    assert connection.secrets.delete("CLIENT_KEY", "OTHER") == ("CLIENT_KEY",)
    with pytest.raises(errors.InvalidArgumentError, match="A: the value must be text") as caught:
        connection.secrets.set("A", 5)
    assert caught.value.__cause__ is None
    shown = repr([pipeline, pipeline["/a"], connection, connection.secrets, vars(pipeline)])
    assert connection._target.read(lambda client: client._transport._endpoint.token) not in shown


WORK = """
import conducto as co

def double(number: int) -> dict:
    co.metric("loss", 0.5, step=1)
    return {"double": 2 * number}
"""


def test_results_and_metrics_are_read(tmp_path: Path) -> None:
    (tmp_path / "work_of_client.py").write_text(WORK)
    spec = importlib.util.spec_from_file_location("w", tmp_path / "work_of_client.py")
    assert spec is not None
    assert spec.loader is not None
    work = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(work)
    root = co.Parallel(image=co.Image(copy_dir=str(tmp_path)))
    root["double"] = co.Exec(work.double, 4)
    root["shell"] = co.Exec("true")
    pipeline = launch(root)
    pipeline.wait(TIMEOUT, check=True)

    assert pipeline["/double"].result == {"double": 8}
    assert pipeline["/shell"].result is None
    (row,) = pipeline.metrics()
    assert (row["path"], row["name"], row["step"], row["value"]) == ("/double", "loss", 1, 0.5)
    assert pipeline.metrics("/shell") == []
    (last,) = co.metrics(pipeline.title, path="/double")
    assert (last["pipeline"], last["name"], last["value"]) == (pipeline.id, "loss", 0.5)
    with pytest.raises(errors.InvalidArgumentError, match="limit"):
        co.metrics(pipeline.title, limit=0)
    assert pipeline["/double"].artifacts() == ()
    waiting = launch(root, run=False)
    with pytest.raises(errors.ClientError, match="/shell: is pending, so it has no result"):
        waiting["/shell"].result  # noqa: B018 - reading it is the test


def test_artifacts_have_addresses() -> None:
    line = json.dumps({"name": "plots/a b.svg"})
    root = co.Exec(f"printf '%s' {shlex.quote(line)} > $CONDUCTO_RUN_DIR/artifacts")
    pipeline = launch(root, run=False)
    pipeline.data.write("plots/a b.svg", "<svg/>")
    pipeline.run()
    pipeline.wait(TIMEOUT, check=True)

    (artifact,) = pipeline["/"].artifacts()

    app = pipeline.url.removesuffix(f"/p/{pipeline.id}")
    path = f"/api/v1/pipelines/{pipeline.id}/data/file?name=plots%2Fa%20b.svg"
    assert artifact.url == app + path
    token = pipeline._target.read(lambda client: client._transport._endpoint.token)
    request = Request(artifact.url, headers={"Authorization": f"Bearer {token}"})
    assert urlopen(request).read() == b"<svg/>"


def test_a_tree_can_be_launched_twice_and_names_at_once() -> None:
    tree = grid([1])

    first, second = launch(tree, title="twice"), launch(tree, title="twice")
    with ThreadPoolExecutor(4) as pool:
        several = [*pool.map(lambda _: launch(grid, [2], title="same"), range(4))]

    assert first != second
    assert {first.wait(TIMEOUT), second.wait(TIMEOUT)} == {"done"}
    assert co.latest("twice", target="local") == second
    assert len({each.id for each in several}) == 4
    assert {*co.list_pipelines(title="same", target="local")} == {*several}
    assert len(co.list_pipelines(title="same", limit=2, target="local")) == 2
    assert [each.wait(TIMEOUT) for each in several] == ["done"] * 4
    assert co.get_pipeline("@last", target="local") in several
    with pytest.raises(errors.InvalidArgumentError, match="could be any of 4 pipelines"):
        co.get_pipeline("same", target="local")
    with pytest.raises(LookupError, match="no pipeline with title 'none'"):
        co.latest("none", target="local")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: co.launch(3), "expected a tree or a function that returns one, got 3"),
        (lambda: co.launch(lambda: 3), "expected a tree, the function returned 3"),
        (lambda: co.launch(grid([1]), 2), "a tree takes no arguments, got 2"),
        (lambda: co.launch(grid([1]), target="moon"), "target: 'moon'; it can be 'local' or"),
        (lambda: co.launch(grid([1]), engine="podman"), "engine: 'podman'; it can be 'docker'"),
        (lambda: co.launch(lambda title: grid([1]), title="x"), "'title' is a parameter of launch"),
        (lambda: co.launch(grid([1])["d1"]), "launch its root"),
        (lambda: co.launch(grid([1]), retention="long"), "launch: retention: Input should be"),
        (lambda: co.launch(co.Exec("x", max_time="banana")), "max_time"),
        (lambda: co.launch(grid([1]), build="local"), "--build is about images for the cloud"),
        (lambda: co.launch(grid([1]), target="cloud"), "not logged in"),
        (lambda: co.launch(grid([1]), run="no"), "run: 'no'; it can be True or False"),  # type: ignore[call-overload]
        (lambda: co.launch(grid([1]), fresh=True), "fresh: only with into="),
        (lambda: co.launch(grid([1]), keep_secrets=True), "keep_secrets: only with into="),
        (lambda: co.launch(grid([1]), into="nowhere"), "no pipeline 'nowhere'"),
        (lambda: co.plan(grid([1]), into="nowhere", target="local"), "no pipeline 'nowhere'"),
        (lambda: co.list_pipelines(state="failed"), "state: Input should be"),
        (lambda: co.list_pipelines(limit=0), "limit: 0"),
        (lambda: co.get_pipeline("nowhere"), "no pipeline 'nowhere'"),
        (lambda: co.get_pipeline(5), "5 is not a pipeline: give an id, a title"),  # type: ignore[arg-type]
        (lambda: co.launch(grid([1]), into=5), "5 is not a pipeline"),  # type: ignore[call-overload]
        (lambda: co.compare("nowhere", 5), "no pipeline 'nowhere'"),  # type: ignore[arg-type]
        (lambda: co.latest("no such title"), "no pipeline with title"),
    ],
)
def test_bad_input_is_one_clear_error(call: Any, text: str, person: Person) -> None:
    before = len(co.list_pipelines(target="local"))

    with pytest.raises(errors.ConductoError) as caught:
        call()

    assert text in str(caught.value)
    assert len(co.list_pipelines(target="local")) == before


def test_pipeline_continues_with_a_changed_tree() -> None:
    pipeline = launch(grid, [1, 2], title="continued")
    pipeline.wait(TIMEOUT)

    plan = co.plan(grid, [1, 3], into=pipeline, target="local")
    same = co.launch(grid, [1, 3], into=pipeline, engine="process", title="continued")

    assert plan.preview
    assert {node.path: (node.fate, node.reason) for node in plan.nodes} == {
        "/d1": ("runs", "its image has no digest"),
        "/d3": ("runs", "new"),
    }
    assert plan.removed == ("/d2",)
    assert same == pipeline
    assert same.wait(TIMEOUT, check=True) == "done"
    assert [len(node.attempts()) for node in same.nodes("/d*")] == [2, 1]
    with pytest.raises(errors.InvalidArgumentError, match="keeps its engine, 'process'"):
        co.launch(grid, [1], into=pipeline.id, engine="docker")
    assert co.get_pipeline(co.AsyncPipeline(pipeline)) == pipeline
    with pytest.raises(errors.InvalidArgumentError, match="is on target 'local'; leave it out"):
        co.launch(grid, [1], into=pipeline, target="cloud")
    with pytest.raises(errors.InvalidArgumentError, match="'x' is not a handle"):
        pipeline.compare("x")  # type: ignore[arg-type]


def test_continued_pipeline_keeps_its_title_doc_tags_and_retention() -> None:
    tree = gated(Path("/"), tags=["q"])
    first = launch(tree, title="kept", doc="hello", tags="w", retention=30)
    first.wait(TIMEOUT)

    same = co.launch(gated(Path("/")), into="kept", target="local", run=False)
    titled = co.launch(co.Serial(title="of the tree"), into="kept", target="local", run=False)

    record = same.summary.pipeline
    assert (record.doc, record.tags, record.retention) == ("hello", ("q", "w"), 30)
    assert titled == first
    assert titled.summary.pipeline.title == "of the tree"


_PROGRAM = """
import typing
import conducto as co

def study(depth: int, names: typing.List[str] = ["a"], same_tree: str = "x") -> co.Serial:
    root = co.Serial()
    for name in names:
        root[name] = co.Exec(f"echo {same_tree} {depth}")
    return root

if __name__ == "__main__":
    co.main(default=study)
"""


def test_program_is_launched_again_and_compared(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_PROGRAM)
    words = ["program.py", "--depth=2", "--local", "--run", "--detach", "--engine=process"]
    words += ["--no-app", "--title=studied"]
    subprocess.run([sys.executable, *words], cwd=tmp_path, check=True, timeout=TIMEOUT)
    first = co.latest("studied", target="local")
    first.wait(TIMEOUT, check=True)

    other = first.launch_again({"same_tree": "y"}, depth=3, names=["a", "b,c"], title="other")

    async def copied() -> tuple[co.AsyncPipeline, PipelineComparison]:
        copy = await (await co.aio.get_pipeline(first.id)).launch_again(same_tree=True, run=False)
        assert await copy.state() == "pending"
        return copy, await co.aio.compare(other.id, copy, limit=1)

    copy, back = asyncio.run(copied())
    assert (other.wait(TIMEOUT, check=True), other.title) == ("done", "other")
    assert [node.logs() for node in other.nodes("/*")] == ["y 3\n", "y 3\n"]
    assert (copy.title, copy.id != first.id) == ("studied", True)
    assert (back.before, back.after) == (other.id, copy.id)
    found = {each.kind.value: each for each in co.compare(first.id, other).differences}
    assert [one.name for one in found["added"].items] == ["/b,c"]
    assert {one.name: (one.before, one.after) for one in found["parameter"].items}["depth"] == (
        "2",
        "3",
    )
    for wrong, text in (
        ({"dept": 3}, "dept: study has no parameter 'dept'"),
        ({"depth": "x"}, "depth: must be a whole number, got 'x'"),
        ({"depth": object()}, "depth: <object"),
        ({"depth": 3, "same_tree": True}, "depth: same_tree=True copies the tree"),
    ):
        with pytest.raises(errors.InvalidArgumentError, match=text):
            first.launch_again(**wrong)  # type: ignore[arg-type]
    (tmp_path / "program.py").write_text("raise SystemExit('broken today')")
    with pytest.raises(errors.ClientError, match="broken today"):
        first.launch_again(depth=3)
    (tmp_path / "program.py").unlink()
    with pytest.raises(errors.ClientError, match=r"no longer exists.*same_tree=True launches it"):
        first.launch_again(depth=3)


_LIKE_FLAGS = """
import conducto as co

def study(run: int, local: str, detach: bool = False, title="t", app: bool = True) -> co.Exec:
    return co.Exec(f"echo {run} {local} {detach} {title} {app}")

if __name__ == "__main__":
    co.main(default=study)
"""


def test_program_with_parameters_named_as_flags_is_launched_again(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_LIKE_FLAGS)
    flags = "--conducto.local --conducto.run --conducto.detach --engine=process --conducto.no-app"
    words = ["program.py", "--run=1", "--local=here", "--no-app", *flags.split(), "--tags=flags"]
    subprocess.run([sys.executable, *words], cwd=tmp_path, check=True, timeout=TIMEOUT)
    (first,) = co.list_pipelines(tag="flags", target="local")
    first.wait(TIMEOUT, check=True)

    again = first.launch_again({"run": 2}, detach=True)

    assert again.wait(TIMEOUT) == "done"
    assert [each["/"].logs() for each in (first, again)] == [
        "1 here False t False\n",
        "2 here True t False\n",
    ]
    assert first.title == "program.py study --run=1 --local=here --no-app"


def test_pipeline_of_python_code_is_launched_again_with_the_same_tree_only() -> None:
    first = launch(grid, [3], run=False)

    with pytest.raises(errors.ClientError, match=r"same_tree=True\) copies its tree; for other"):
        first.launch_again(depths=[4])
    assert first.launch_again(same_tree=True, run=False).state == "pending"


async def test_plan_of_a_running_pipeline_is_refused_in_coroutines(tmp_path: Path) -> None:
    pipeline = await co.aio.launch(gated(tmp_path / "gate"), target="local", engine="process")

    with pytest.raises(errors.ClientError, match="commands run, or it will start by itself"):
        await co.aio.plan(gated(tmp_path / "gate"), into=pipeline.id, target="local")
    (tmp_path / "gate").touch()
    assert await pipeline.wait(TIMEOUT) == "done"
    plan = await co.aio.plan(gated(tmp_path / "gate"), into=pipeline.id, fresh=True)
    assert [node.reason for node in plan.nodes] == ["--fresh", "--fresh"]


def test_invalid_changes_are_rejected() -> None:
    pipeline = launch(grid, [1], run=False)

    for wrong in ({"cpu": "many"}, {"comand": "x"}, {}):
        with pytest.raises(errors.InvalidArgumentError):
            pipeline["/d1"].modify(**wrong)
    with pytest.raises(errors.InvalidArgumentError, match="name the nodes"):
        pipeline.reset()


async def test_coroutines_wait_for_several_pipelines_at_once(tmp_path: Path) -> None:
    made = [
        await co.aio.launch(gated(tmp_path / "gate"), target="local", engine="process")
        for _ in range(3)
    ]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(made[0].wait(), 0.2)
    waiting = asyncio.gather(*(each.wait(TIMEOUT, check=True) for each in made))
    await asyncio.sleep(0)
    (tmp_path / "gate").touch()

    assert await waiting == ["done"] * 3
    assert next(iter([change.seq async for change in made[0].follow()])) == 1
    node = await made[0].node("/end")
    assert (node.path, node.state, await node.logs()) == ("/end", "done", "")
    assert (await made[0].rerun("/end")).affected == 1
    assert await made[0].wait(TIMEOUT) == "done"
    assert [each.id for each in await co.aio.list_pipelines(limit=1)] == [made[2].id]
    await made[0].data.write("a", b"1")
    assert await made[0].data.read("a") == b"1"


async def test_synchronous_calls_work_inside_a_running_loop() -> None:
    pipeline = launch(grid, [1])

    assert pipeline.wait(TIMEOUT, check=True) == "done"


def test_a_forked_process_uses_connections_of_its_own() -> None:
    pipeline = launch(grid, [1])
    pipeline.wait(TIMEOUT)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if pipeline.state == "done" and asyncio.run(_state_of(pipeline)) else 1
        finally:
            os._exit(code)

    assert os.waitpid(child, 0)[1] == 0
    assert pipeline.state == "done"


async def _state_of(pipeline: co.Pipeline) -> bool:
    return await co.AsyncPipeline(pipeline).state() == "done"


def test_wait_survives_an_agent_that_is_killed_and_started_again(
    person: Person, tmp_path: Path
) -> None:
    pipeline = launch(gated(tmp_path / "gate", retry_lost=2))
    eventually(lambda: pipeline["/wait"].state == "running")
    states: list[str] = []
    waiter = threading.Thread(target=lambda: states.append(pipeline.wait(TIMEOUT)))
    waiter.start()

    status = person.ask("agent", "status").stdout
    os.kill(int(status.split("pid ")[1].split()[0].strip(",;)")), signal.SIGKILL)
    (tmp_path / "gate").touch()
    person.ask("agent", "start")
    waiter.join(TIMEOUT)

    assert states == ["done"]
    assert pipeline.state == "done"


OLD = """
import conducto as co

root = co.Serial()
root["wait"] = co.Exec("until test -e {gate}; do sleep 0.05; done", retry_lost=2)
print(co.launch(root, target="local", engine="process", title="upgraded").id)
"""


@pytest.mark.long  # an agent of two versions takes 20 seconds
def test_wait_survives_the_upgrade_of_the_agent(person: Person, tmp_path: Path) -> None:
    old = tmp_path / "old"
    for package in (conducto, conducto_client, conducto_core, conducto_cli, conducto_local):
        source = Path(package.__path__[0])
        shutil.copytree(source, old / source.name, ignore=shutil.ignore_patterns("*.pyc"))
    installed = old / "conducto-0.9.0.dist-info" / "METADATA"
    installed.parent.mkdir()
    installed.write_text("Metadata-Version: 2.1\nName: conducto\nVersion: 0.9.0\n")
    person.ask("agent", "stop")
    script = OLD.format(gate=tmp_path / "gate")
    begun = person.python("-c", script, PYTHONPATH=str(old))
    assert begun.returncode == 0, begun.stderr
    pipeline = co.get_pipeline(begun.stdout.split()[-1], target="local")
    eventually(lambda: pipeline["/wait"].state == "running")
    assert "0.9.0" in person.ask("agent", "status").stdout
    states: list[str] = []
    waiter = threading.Thread(target=lambda: states.append(pipeline.wait(TIMEOUT)))
    waiter.start()

    person.ask("agent", "stop")
    person.ask("agent", "start")
    (tmp_path / "gate").touch()
    waiter.join(TIMEOUT)

    assert states == ["done"]
    assert "0.9.0" not in person.ask("agent", "status").stdout
    assert pipeline["/wait"].attempts()[-1].state == "done"


INTERRUPTED = """
import conducto as co

root = co.Serial()
root["wait"] = co.Exec("until test -e {gate}; do sleep 0.05; done")
p = co.launch(root, target="local", engine="process", title="interrupted")
print(p.id, flush=True)
p.wait()
"""


def test_ctrl_c_stops_waiting_and_the_pipeline_continues(person: Person, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED.format(gate=tmp_path / "gate"))
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pipeline = co.get_pipeline(process.stdout.readline().strip())
        eventually(lambda: pipeline["/wait"].state == "running")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT)

    assert f"stopped waiting; pipeline {pipeline.id} continues" in said
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
    assert pipeline.state == "running"
    (tmp_path / "gate").touch()
    assert pipeline.wait(TIMEOUT) == "done"


def test_services_of_the_original_are_forms_of_the_client() -> None:
    pipeline = launch(grid, [1], title="original", tags=["old"])
    pipeline.wait(TIMEOUT)
    service = co.api.Pipeline()

    found = service.get(pipeline.id)

    assert (found["pipeline_id"], found["status"]) == (pipeline.id, "active_local")
    assert (found["tags"], found["meta"]["state"]) == (["old"], "done")
    assert co.api.Analytics().get_pipeline_summary(pipeline.id) == found
    assert pipeline.id in [each["pipeline_id"] for each in service.list()]
    service.sleep(pipeline_ids=[pipeline.id])
    assert service.get(pipeline.id)["status"] == "sleeping_local"
    co.api.Manager().launch(pipeline.id)
    assert service.get(pipeline.id)["status"] == "active_local"
    service.archive(pipeline.id)
    assert pipeline.id not in [each["pipeline_id"] for each in service.list()]
    with pytest.raises(co.api.InvalidResponse, match="no pipeline 'nowhere'"):
        service.get("nowhere")
    with pytest.raises(co.api.InvalidResponse, match="is archived"):
        service.touch(pipeline.id)


def test_pipeline_of_the_original_is_created_and_saved_before_it_is_launched() -> None:
    service = co.api.Pipeline()
    pipeline_id = service.create("make it", cloud=False, tags="old", retention=3, is_public=True)
    found = service.get(pipeline_id)
    assert (found["title"], found["tags"]) == ("make it", ["old"])

    root = co.Serial(image="unused")
    root["a"] = co.Exec("echo one")
    service.save_serialization(pipeline_id, root.serialize())
    co.api.Manager().launch(pipeline_id)

    pipeline = co.get_pipeline(pipeline_id)
    assert [node.path for node in pipeline] == ["/", "/a"]
    assert (pipeline.title, pipeline.summary.pipeline.retention) == ("make it", 3)
    with pytest.raises(co.api.InvalidResponse, match="not a serialized tree"):
        service.save_serialization(pipeline_id, "x")


def test_status_and_activity_of_a_pipeline_change_through_the_original() -> None:
    pipeline = launch(grid, [1], run=False)
    service = co.api.Pipeline()
    touched = pipeline.summary.pipeline.touched

    service.touch(pipeline.id)
    eventually(lambda: pipeline.summary.pipeline.touched > touched)
    service.update(pipeline.id, {"status": "sleeping_local", "title": "t"}, "status")
    assert service.get(pipeline.id)["status"] == "sleeping_local"
    touched = pipeline.summary.pipeline.touched
    service.touch(pipeline.id)
    eventually(lambda: pipeline.summary.pipeline.touched > touched)
    assert service.get(pipeline.id)["status"] == "sleeping_local"

    assert set(service.perms(pipeline.id)) >= {"launch", "modify_cmd", "read_user_secrets"}


def test_schedules_by_the_names_of_the_original() -> None:
    ready = co.schedule.new("nightly", co.Exec("true", image="busybox"), "report")["pipeline_id"]
    template = co.schedule.create_template("nightly", ready)["template_id"]
    made = co.schedule.create_schedule(
        "nightly", template, "report", cron="30 2 * * *", zone="Europe/Berlin"
    )
    changed = co.schedule.update_schedule("nightly", "report", simultaneous_limit=1)
    launched = co.schedule.launch_template("nightly", template)["pipeline_id"]

    assert (made["schedule_id"], made["overlap"], changed["overlap"]) == ("report", "skip", "skip")
    with pytest.raises(co.api.InvalidResponse, match=r'overlap="allow"'):
        co.schedule.update_schedule("nightly", "report", simultaneous_limit=2)
    assert co.get_pipeline(launched).id == launched
    known = co.schedule.list_schedules("nightly")
    assert [(one["name"], one["cron"]) for one in known] == [("report", "30 2 * * *")]
    assert co.schedule.schedule_run_list("nightly", "report") == []
    assert co.schedule.list_templates("other") == []
    with pytest.raises(co.api.InvalidResponse, match=r"no schedule 'other\.report'"):
        co.schedule.delete_schedule("other", "report")
    co.get_pipeline(ready).delete()
    with pytest.raises(co.api.InvalidResponse, match="create a template of another pipeline"):
        co.schedule.create_schedule("nightly", template, "late", cron="30 2 * * *")
    assert co.schedule.launch_template("nightly", template)["pipeline_id"] != launched
    co.schedule.delete_extension("nightly")
    assert co.schedule.list_schedules("nightly") == co.schedule.list_templates("nightly") == []
