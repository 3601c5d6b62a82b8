"""Reading while things happen: following, bursts, slow readers, a disk that is full."""

import asyncio
import base64
import http.client
import threading
from pathlib import Path

import pytest
from websockets.sync.client import connect

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_client import ApiError, Client, HttpTransport
from conducto_core.run.model.params import ImageLogParams, LogFileParams, LogLinesParams, TreeParams
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.run.model.states import State
from conducto_local.store.port import StoreFullError
from support.api_server import TOKEN
from support.disks import fill, small_disk
from support.fixtures import Scene, real, serving
from support.local import local_runner

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def scene(tmp_path: Path):
    async with real(tmp_path) as scene:
        yield scene


async def launch(scene: Scene, root: object, *, run: bool = True) -> str:
    request = LaunchRequest(tree=to_launch_form(root), engine="process", run=run)
    return (await scene.ask(lambda c: c.launch(request))).pipeline.id


def one(command: str) -> co.Serial:
    root = co.Serial(image="debian")
    root["a"] = co.Exec(command)
    return root


async def test_output_of_a_running_command_is_followed(scene: Scene, tmp_path: Path) -> None:
    go = tmp_path / "go"
    command = f"echo one; until [ -e {go} ]; do sleep 0.05; done; echo two"
    pipeline = await launch(scene, one(command))

    first = await scene.ask(lambda c: c.log(pipeline, "/a", wait=30))
    following = asyncio.create_task(
        scene.ask(lambda c: c.log(pipeline, "/a", offset=first.size, wait=30))
    )
    go.touch()
    second = await following
    end = await scene.ask(lambda c: c.log(pipeline, "/a", offset=8, wait=30))

    assert [base64.b64decode(chunk.data) for chunk in (first, second, end)] == [
        b"one\n",
        b"two\n",
        b"",
    ]
    assert (first.complete, end.complete) == (False, True)


async def test_workers_of_a_pipeline_are_shown_while_it_runs(scene: Scene, tmp_path: Path) -> None:
    go = tmp_path / "go"
    command = f"echo one; until [ -e {go} ]; do sleep 0.05; done"
    pipeline = await launch(scene, one(command))
    await scene.ask(lambda c: c.log(pipeline, "/a", wait=30))

    during = (await scene.ask(lambda c: c.get(pipeline))).workers
    go.touch()
    await settled(scene, pipeline)
    after = (await scene.ask(lambda c: c.get(pipeline))).workers

    assert during is not None
    assert (during.busy, during.idle, during.starting) == (1, 0, 0)
    assert 0 < (during.cpu_used or 0) <= (during.cpu or 0)
    assert after is None


async def settled(scene: Scene, pipeline: str) -> None:
    """Wait for the end, by the events."""

    def follow(client: Client) -> None:
        for batch in client.events(pipeline):
            if batch.pipeline.settled:
                return

    await scene.ask(follow)


async def test_wait_without_a_condition_ends(scene: Scene) -> None:
    pipeline = await launch(scene, one("true"), run=False)

    chunk = await scene.ask(lambda c: c.log(pipeline, "/a", wait=0.2))

    assert (chunk.data, chunk.size, chunk.complete) == ("", 0, False)


async def test_node_that_never_ran_has_no_output_file(scene: Scene) -> None:
    pipeline = await launch(scene, one("true"), run=False)

    lines = await scene.ask(lambda c: c.log_lines(LogLinesParams(id=pipeline, path="/a")))
    with pytest.raises(ApiError, match="/a: never ran") as caught:
        await scene.ask(lambda c: list(c.download_log(LogFileParams(id=pipeline, path="/a"))))

    assert (lines.lines, lines.total) == ((), 0)
    assert caught.value.status == 404


async def test_attempts_of_a_node_that_a_lazy_discarded_stay(scene: Scene) -> None:
    inner = co.Serial(image="debian")
    inner["once"] = co.Exec("echo made")
    block = f"<__conducto_serialization>{inner.serialize()}</__conducto_serialization>"
    root = co.Serial(image="debian")
    root["lazy"] = co.lazy_shell(f"echo '{block}'")
    pipeline = await launch(scene, root)
    await settle(scene, pipeline)
    path = "/lazy/Execute/once"
    before = await scene.ask(lambda c: c.attempts(pipeline, path))

    pause = ControlRequest(action=Action.PAUSE)
    await scene.ask(lambda c: c.control(pipeline, pause))
    reset = ControlRequest(action=Action.RESET, paths=("/lazy",))
    await scene.ask(lambda c: c.control(pipeline, reset))

    left = await scene.ask(lambda c: [node.path for node in c.tree(pipeline)])
    assert path not in left
    assert [a.number for a in before] == [1]
    assert await scene.ask(lambda c: c.attempts(pipeline, path)) == before
    assert await scene.ask(lambda c: base64.b64decode(c.log(pipeline, path).data)) == b"made\n"
    lines = LogLinesParams(id=pipeline, path=path)
    assert (await scene.ask(lambda c: c.log_lines(lines))).lines == ("made",)


async def settle(scene: Scene, pipeline: str) -> None:
    def wait(client: Client) -> None:
        events = client.events(pipeline)
        for batch in events:
            if batch.pipeline.settled:
                break
        events.close()

    await scene.ask(wait)


async def test_every_attempt_keeps_its_own_lines(scene: Scene) -> None:
    pipeline = await launch(scene, one("echo $CONDUCTO_PIPELINE_ID; date +%N"))
    await settle(scene, pipeline)
    order = ControlRequest(action=Action.RESET, paths=("/a",))
    await scene.ask(lambda c: c.control(pipeline, order))
    await settle(scene, pipeline)

    def lines(attempt: int | None) -> LogLinesParams:
        return LogLinesParams(id=pipeline, path="/a", attempt=attempt)

    found = [(await scene.ask(lambda c, n=n: c.log_lines(lines(n)))).lines for n in (1, 2, None)]

    assert found[1] == found[2] != found[0]
    with pytest.raises(ApiError, match=r"no attempt 3 \(there are: 1, 2\)"):
        await scene.ask(lambda c: c.log_lines(lines(3)))


async def test_node_page_shows_effective_parameters_and_their_sources(scene: Scene) -> None:
    with co.Serial(image="debian", env={"A": "1"}, cpu=0.5) as root:
        co.Exec("true", name="a", doc="what it does")
    pipeline = await launch(scene, root)
    await settle(scene, pipeline)
    changes = ControlRequest.model_validate(
        {"action": "modify", "paths": ["/a"], "changes": {"mem": 0.25}}
    )
    await scene.ask(lambda c: c.control(pipeline, changes))

    detail = await scene.ask(lambda c: c.node(pipeline, "/a"))

    found = {one.name: one for one in detail.parameters}
    assert (found["cpu"].value, found["cpu"].source) == (0.5, "/")
    assert (found["mem"].value, found["mem"].source, found["mem"].modified) == (0.25, "/a", True)
    assert [(one.name, one.source) for one in detail.env] == [("A", "/")]
    assert detail.node.doc == "what it does"
    assert detail.node.line is not None
    assert detail.pool == "shared"
    assert detail.modified == ("mem",)
    assert detail.logs_until is not None


async def test_images_show_the_status_of_their_builds(scene: Scene) -> None:
    pipeline = await launch(scene, one("true"))
    await settle(scene, pipeline)

    (image,) = await scene.ask(lambda c: c.images(pipeline))
    log = await scene.ask(lambda c: c.image_log_page(ImageLogParams(id=pipeline, image=image.name)))

    assert image.state == "done"
    assert log.complete
    assert log.next == log.size


# ---- events -----------------------------------------------------------------------------------

EXECS = 5_000


def wide() -> dict[str, object]:
    with co.Parallel(image="debian") as root:
        for number in range(EXECS):
            co.Exec("true", name=f"n{number}")
    return to_launch_form(root)


async def test_ten_thousand_changes_arrive_complete_and_in_order(scene: Scene) -> None:
    request = LaunchRequest(tree=wide(), engine="process")
    pipeline = (await scene.ask(lambda c: c.launch(request))).pipeline.id
    seen: list[int] = []
    paths = tuple(f"/n{number}" for number in range(EXECS))

    def read() -> None:
        with Client(HttpTransport(scene.endpoint)) as client:
            events = client.events(pipeline)
            for batch in events:
                seen.extend(change.seq for change in batch.changes)
                if len(seen) >= 2 * EXECS:
                    break
            events.close()

    reading = asyncio.create_task(asyncio.to_thread(read))
    for action in (Action.SKIP, Action.UNSKIP):
        order = ControlRequest(action=action, paths=paths)
        await scene.ask(lambda c, o=order: c.control(pipeline, o))
    await reading
    last = (await scene.ask(lambda c: c.get(pipeline))).seq

    assert last >= 2 * EXECS
    assert seen == list(range(1, len(seen) + 1))


async def test_reader_that_reads_nothing_blocks_no_other(scene: Scene) -> None:
    request = LaunchRequest(tree=wide(), engine="process")
    pipeline = (await scene.ask(lambda c: c.launch(request))).pipeline.id
    url = scene.endpoint.url.replace("http", "ws", 1)
    paths = tuple(f"/n{number}" for number in range(EXECS))
    opened, done = threading.Event(), threading.Event()

    def dawdle() -> None:
        with connect(
            f"{url}/api/v1/pipelines/{pipeline}/events",
            additional_headers=AUTHORIZED,
            proxy=None,
            max_queue=1,
            close_timeout=0.1,
        ):
            opened.set()
            done.wait(60)

    dawdling = asyncio.create_task(asyncio.to_thread(dawdle))
    await asyncio.to_thread(opened.wait, 10)
    for action in (Action.SKIP, Action.UNSKIP, Action.SKIP, Action.UNSKIP):
        order = ControlRequest(action=action, paths=paths)
        await scene.ask(lambda c, o=order: c.control(pipeline, o))
    seq = (await scene.ask(lambda c: c.get(pipeline))).seq
    done.set()
    await dawdling

    assert seq >= 4 * EXECS


async def test_a_cursor_from_the_future_is_refused_before_the_stream_opens(scene: Scene) -> None:
    pipeline = await launch(scene, one("true"), run=False)

    with pytest.raises(ApiError, match="cursor 99 is beyond the newest change 0") as caught:
        await scene.ask(lambda c: next(c.events(pipeline, 99)))

    assert caught.value.status == 409


# ---- a full disk ------------------------------------------------------------------------------


async def test_full_disk_does_not_block_readers(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        async with (
            local_runner(disk, "process") as local,
            serving(local.pipelines, tmp_path) as endpoint,
        ):
            run = await local.launch(one("sleep 600"))
            await run.until("/a", "running")
            filler = fill(disk)
            with pytest.raises(StoreFullError, match="cancel was executed, but not stored yet"):
                await run.control(Action.CANCEL)

            def read() -> list[object]:
                with Client(HttpTransport(endpoint, timeout=20)) as client:
                    events = client.events(run.id)
                    return [
                        client.get(run.id),
                        client.nodes(TreeParams(id=run.id)),
                        client.node(run.id, "/a"),
                        client.attempts(run.id, "/a"),
                        client.log(run.id, "/a"),
                        client.list(),
                        next(events),
                        events.close(),
                    ]

            responses = await asyncio.to_thread(read)
            filler.unlink()
            await run.settled()

    assert len(responses) == 8


# ---- bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [300, 100_000])
async def test_json_that_is_nested_too_deeply_is_refused(scene: Scene, depth: int) -> None:
    body = b'{"tree": {"a": ' + b"[" * depth + b"]" * depth + b"}}"

    def send() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(scene.endpoint.url.removeprefix("http://"))
        headers = {**AUTHORIZED, "Content-Type": "application/json"}
        connection.request("POST", "/api/v1/pipelines", body, headers)
        response = connection.getresponse()
        found = response.status, response.read()
        connection.close()
        return found

    status, response = await asyncio.to_thread(send)

    assert status == 400
    assert b"more than 200 levels of arrays and objects" in response


async def test_oversized_request_receives_its_error(scene: Scene) -> None:
    pipeline = await launch(scene, one("true"), run=False)

    def send() -> tuple[int, str | None]:
        connection = http.client.HTTPConnection(scene.endpoint.url.removeprefix("http://"))
        headers = {**AUTHORIZED, "Content-Type": "application/json"}
        target = f"/api/v1/pipelines/{pipeline}/control"
        connection.request("POST", target, b" " * (6 << 20), headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status, response.getheader("connection")

    assert await asyncio.to_thread(send) == (413, "close")


async def test_a_node_that_failed_is_found_by_a_search(scene: Scene) -> None:
    with co.Serial(image="debian", stop_on_error=False) as root:
        for number in range(5):
            co.Exec(f"test {number} != 3", name=f"n{number}")
    pipeline = await launch(scene, root)
    await settle(scene, pipeline)

    query = TreeParams(id=pipeline, state=State.ERROR, limit=1)
    page = await scene.ask(lambda c: c.nodes(query))

    assert [node.path for node in page.nodes] == ["/n3"]
