"""The API behaves the same in the process and over a real socket."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from tests.fakes.pipelines import MemoryAgent, MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto_client import ApiError, Body, Client, HttpTransport, Reply, StreamLostError, Transport
from conducto_core.api.dispatch import Service
from conducto_core.api.operation import LinkClass, read
from conducto_core.debug.model import DebugRequest
from conducto_core.run.model.params import LogFileParams, NodeParams, NoParams
from conducto_core.run.model.records import ImageRecord, ImageState
from conducto_core.run.model.requests import (
    Action,
    AgentStatus,
    Changes,
    ControlRequest,
    LaunchRequest,
    NodeView,
)
from conducto_core.run.model.responses import AttemptList
from conducto_core.run.model.states import Cause, NodeType, State
from support.api_server import running_server

ODD_NAME = "/a b?c=1&d#e%2F\"'\\ü\n+;"
TREE = {
    "nodes": {
        "/": {"type": "Serial"},
        "/a": {"type": "Exec", "command": "true"},
        "/g": {"type": "Parallel"},
        "/g/x": {"type": "Exec"},
        "/g/y": {"type": "Exec"},
        ODD_NAME: {"type": "Exec"},
    }
}


class Pipelines(MemoryPipelines):
    """The shipped fake, with a bug in one place."""

    async def list_attempts(self, params: NodeParams) -> AttemptList:
        if params.id == "broken":
            raise ZeroDivisionError("a bug of the test")
        return await super().list_attempts(params)


@dataclass
class Api:
    """One way to the API, and the pipelines behind it."""

    client: Client
    transport: Transport
    fake: MemoryPipelines

    def launched(self, **fields: Any) -> str:
        request = LaunchRequest.model_validate({"tree": TREE, **fields})
        return self.client.launch(request).pipeline.id


def in_process(fake: MemoryPipelines, stack: ExitStack) -> Transport:
    return stack.enter_context(InProcessTransport(Service(fake, MemoryAgent(fake))))


def over_http(fake: MemoryPipelines, stack: ExitStack) -> Transport:
    return HttpTransport(stack.enter_context(running_server(fake)).endpoint)


@pytest.fixture(params=[in_process, over_http], ids=["in process", "over http"])
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    make: Callable[[MemoryPipelines, ExitStack], Transport] = request.param
    fake = Pipelines()
    with ExitStack() as stack:
        transport = make(fake, stack)
        with Client(transport) as client:
            yield Api(client, transport, fake)


def test_launch_request_arrives_complete(api: Api) -> None:
    request = LaunchRequest(
        tree=TREE, title="täst", doc="what", tags=("a", "b"), run=True, run_at=7.5, program="/x.py"
    )

    summary = api.client.launch(request)

    assert api.fake.launches == [request]
    assert summary.pipeline.title == "täst"
    assert summary.pipeline.armed
    assert summary.counts.pending == 4


def test_pipelines_are_listed_with_the_newest_first(api: Api) -> None:
    first, second = api.launched(), api.launched()

    listed = api.client.list()

    assert [p.pipeline.id for p in listed] == [second, first]


def test_a_beginning_of_an_id_is_enough(api: Api) -> None:
    api.fake.add("abcdef", [NodeView(path="/", type=NodeType.EXEC, state=State.DONE)])

    found = api.client.get("abc")

    assert found.pipeline.id == "abcdef"


def test_unknown_pipeline_is_reported(api: Api) -> None:
    with pytest.raises(ApiError, match="'nope'") as caught:
        api.client.get("nope")

    assert caught.value.status == 404
    assert caught.value.problem.title == "not found"


def test_an_id_with_a_slash_is_looked_up_and_not_routed(api: Api) -> None:
    with pytest.raises(ApiError, match=r"'\.\./agent'"):
        api.client.get("../agent")


def test_a_tree_comes_in_pages_with_parents_first(api: Api) -> None:
    pipeline = api.launched()

    first = api.client.tree_page(pipeline, limit=2)
    second = api.client.tree_page(pipeline, after=first.next, limit=4)

    assert [n.path for n in (*first.nodes, *second.nodes)] == list(TREE["nodes"])
    assert second.next is None


def test_a_whole_tree_is_iterated_over_its_pages(api: Api) -> None:
    count = 2_500
    root = NodeView(path="/", type=NodeType.PARALLEL, state=State.PENDING)
    leaves = [NodeView(path=f"/{n}", type=NodeType.EXEC, state=State.PENDING) for n in range(count)]
    api.fake.add("wide", [root, *leaves])

    nodes = list(api.client.tree("wide"))

    assert [n.path for n in nodes] == [root.path, *(n.path for n in leaves)]


def test_subtree_contains_its_root_and_descendants_only(api: Api) -> None:
    nodes = api.client.tree(api.launched(), root="/g")

    assert [n.path for n in nodes] == ["/g", "/g/x", "/g/y"]


def test_unknown_node_is_reported(api: Api) -> None:
    pipeline = api.launched()

    with pytest.raises(ApiError, match="/g/z: no such node") as caught:
        api.client.attempts(pipeline, "/g/z")
    assert caught.value.status == 404


def test_a_name_may_hold_anything_but_a_slash(api: Api) -> None:
    pipeline = api.launched()
    api.fake.finish(pipeline, ODD_NAME)

    attempts = api.client.attempts(pipeline, ODD_NAME)

    assert [a.path for a in attempts] == [ODD_NAME]


def test_every_attempt_is_answered(api: Api) -> None:
    pipeline = api.launched()
    api.fake.finish(pipeline, "/a", Cause.EXIT_CODE)
    api.fake.finish(pipeline, "/a")

    attempts = api.client.attempts(pipeline, "/a")

    assert [(a.number, a.state, a.exit_code) for a in attempts] == [
        (1, State.ERROR, 1),
        (2, State.DONE, 0),
    ]


def test_output_comes_byte_for_byte(api: Api) -> None:
    pipeline, data = api.launched(), bytes(range(256)) * 3
    api.fake.finish(pipeline, "/a")
    api.fake.write(pipeline, "/a", data, stream="stderr")

    chunk = api.client.log(pipeline, "/a", stream="stderr", offset=10, limit=500)

    assert base64.b64decode(chunk.data) == data[10:510]
    assert (chunk.offset, chunk.size, chunk.complete) == (10, len(data), True)


def test_a_negative_offset_counts_from_the_end(api: Api) -> None:
    pipeline = api.launched()
    api.fake.change(pipeline, "/a", State.RUNNING)
    api.fake.write(pipeline, "/a", b"one\ntwo\n")

    chunk = api.client.log(pipeline, "/a", offset=-4)

    assert base64.b64decode(chunk.data) == b"two\n"
    assert (chunk.offset, chunk.complete) == (4, False)


def test_the_output_of_one_attempt_is_its_own(api: Api) -> None:
    pipeline = api.launched()
    api.fake.finish(pipeline, "/a", Cause.EXIT_CODE)
    api.fake.finish(pipeline, "/a")
    api.fake.write(pipeline, "/a", b"first", attempt=1)
    api.fake.write(pipeline, "/a", b"second", attempt=2)

    first, newest = (
        api.client.log(pipeline, "/a", attempt=1),
        api.client.log(pipeline, "/a"),
    )

    assert base64.b64decode(first.data) == b"first"
    assert base64.b64decode(newest.data) == b"second"


def test_log_is_downloaded_in_chunks(api: Api) -> None:
    pipeline, data = api.launched(), bytes(range(256)) * 20_000
    api.fake.finish(pipeline, "/a")
    api.fake.write(pipeline, "/a", data)

    chunks = list(api.client.download_log(LogFileParams(id=pipeline, path="/a")))

    assert b"".join(chunks) == data
    assert len(chunks) == 2


def test_a_data_file_goes_in_and_comes_out(api: Api) -> None:
    pipeline = api.launched()

    api.client.write_data(pipeline, "a/b", iter([b"one", b"two"]))

    assert b"".join(api.client.read_data(pipeline, "a/b")) == b"onetwo"
    assert [entry.name for entry in api.client.data(pipeline, "a")] == ["a/b"]


def test_file_that_changes_during_a_read_is_never_mixed(api: Api) -> None:
    pipeline = api.launched()
    api.client.write_data(pipeline, "f", b"a" * (5 << 20))
    chunks = api.client.read_data(pipeline, "f")
    next(chunks)

    api.client.write_data(pipeline, "f", b"b" * (5 << 20))

    with pytest.raises(ApiError, match="was replaced while it was read"):
        next(chunks)


def test_the_log_of_an_image_is_text(api: Api) -> None:
    pipeline = api.launched()
    image = ImageRecord(name="repo/img:1", state=ImageState.ERROR)
    api.fake.set_image(pipeline, image, "Schritt 1 …\nnein\n")

    text = api.client.image_log(pipeline, "repo/img:1")

    assert text == "Schritt 1 …\nnein\n"


def test_action_response_lists_the_affected_nodes(api: Api) -> None:
    pipeline = api.launched()
    order = ControlRequest(action=Action.SKIP, paths=("/a", "/g/x"))

    result = api.client.control(pipeline, order)

    assert (result.affected, result.paths) == (2, ("/a", "/g/x"))
    assert api.fake.actions == [(pipeline, order)]
    assert next(api.client.tree(pipeline, root="/a")).skipped


def test_cancel_pauses_the_pipeline(api: Api) -> None:
    pipeline = api.launched(run=True)
    request = ControlRequest(action=Action.CANCEL)

    api.client.control(pipeline, request)

    assert api.fake.actions == [(pipeline, request)]
    assert not api.client.get(pipeline).pipeline.armed


def test_modification_changes_the_given_fields_only(api: Api) -> None:
    pipeline = api.launched()
    changes = Changes(command="other", cpu=None)

    request = ControlRequest(action=Action.MODIFY, paths=("/a",), changes=changes)
    api.client.control(pipeline, request)

    arrived = api.fake.actions[-1][1].changes
    assert arrived is not None
    assert arrived.model_fields_set == {"command", "cpu"}


def test_a_debug_shell_is_planned(api: Api) -> None:
    pipeline = api.launched()

    plan = api.client.debug(pipeline, DebugRequest(path="/a", live=True))

    assert (plan.pipeline, plan.path, plan.attempt) == (pipeline, "/a", None)
    assert api.fake.shells == [(pipeline, DebugRequest(path="/a", live=True))]


def test_a_refused_order_says_why(api: Api) -> None:
    pipeline = api.launched()

    with pytest.raises(ApiError, match="skip needs at least one path") as caught:
        api.client.control(pipeline, ControlRequest(action=Action.SKIP))
    assert caught.value.status == 409


def test_invalid_definition_is_rejected(api: Api) -> None:
    with pytest.raises(ApiError, match="the tree has no nodes") as caught:
        api.launched(tree={"nodes": {}})

    assert caught.value.status == 422
    assert caught.value.problem.type == "about:blank#definition"


def test_process_reports_its_id(api: Api) -> None:
    api.launched()

    status = api.client.status()

    assert status.pipelines == 1


def test_events_begin_after_the_cursor(api: Api) -> None:
    pipeline = api.launched()
    api.fake.finish(pipeline, "/a")

    batch = next(api.client.events(pipeline, cursor=1))

    assert batch.changes[0].seq == 2
    assert batch.changes[-1].seq == batch.pipeline.seq


def test_events_arrive_while_they_happen(api: Api) -> None:
    pipeline = api.launched()
    events = api.client.events(pipeline)
    api.fake.change(pipeline, "/a", State.RUNNING)
    started = next(events)

    api.fake.change(pipeline, "/a", State.DONE, exit_code=0)
    ended = next(events)

    assert started.changes[0].state is State.RUNNING
    assert (ended.changes[0].state, ended.changes[0].exit_code) == (State.DONE, 0)
    events.close()


def test_events_of_an_unknown_pipeline_are_refused(api: Api) -> None:
    with pytest.raises(ApiError, match="'nope'") as caught:
        next(api.client.events("nope"))

    assert caught.value.status == 404


class BreakingTransport:
    """Loses every stream after its first frame, and has lost the first one before any."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.streams = 0

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        return self._inner.request(method, path, query, body, headers)

    def stream(
        self, path: str, query: Mapping[str, str], *, heartbeat: float | None = None
    ) -> Iterator[bytes]:
        self.streams += 1
        if self.streams == 1:
            raise StreamLostError("cut")
        frames = self._inner.stream(path, query, heartbeat=heartbeat)
        yield next(frames)
        frames.close()
        raise StreamLostError("cut")

    def close(self) -> None:
        self._inner.close()


def test_events_continue_after_a_disconnect_without_loss_or_repetition(api: Api) -> None:
    pipeline, rounds, seen = api.launched(), 5, []
    breaking = BreakingTransport(api.transport)
    events = Client(breaking).events(pipeline)

    for _ in range(rounds):
        api.fake.finish(pipeline, "/a")
        seen += [change.seq for change in next(events).changes]

    assert seen == list(range(1, len(seen) + 1))
    assert seen[-1] == api.client.get(pipeline).seq
    assert breaking.streams == rounds + 1
    events.close()


def test_a_burst_of_changes_arrives_complete_and_in_order(api: Api) -> None:
    pipeline, count, seen = api.launched(), 10_000, []
    events = api.client.events(pipeline)

    for n in range(count):
        api.fake.change(pipeline, "/a", State.QUEUED if n % 2 else State.PENDING)
    last = api.client.get(pipeline).seq
    while len(seen) < last:
        seen += [change.seq for change in next(events).changes]

    assert seen == list(range(1, last + 1))
    assert last >= count
    events.close()


def test_unknown_route_is_rejected(api: Api) -> None:
    reply = api.transport.request("GET", "/api/v1/pipelines/x/nothing", {}, None)

    assert reply.status == 404
    assert b"no such route" in reply.body


def test_a_known_path_with_another_method_says_which_it_has(api: Api) -> None:
    reply = api.transport.request("DELETE", "/api/v1/pipelines", {}, None)

    assert reply.status == 405
    assert b"GET, POST" in reply.body


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({}, "query.path: field required"),
        ({"path": "/a", "attempt": "0"}, "query.attempt: "),
        ({"path": "/a", "limit": "many"}, "query.limit: "),
        ({"path": "/a", "stream": "stdin"}, "query.stream: "),
        ({"path": "/a", "colour": "red"}, "query.colour: "),
        ({"path": "/a", "id": "x"}, "query.id: given twice"),
    ],
)
def test_a_wrong_parameter_is_named(api: Api, query: dict[str, str], named: str) -> None:
    pipeline = api.launched()

    reply = api.transport.request("GET", f"/api/v1/pipelines/{pipeline}/log", query, None)

    assert reply.status == 422
    assert named in reply.body.decode()


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (b"{}", 422, "body.tree: field required"),
        (b'{"tree": {}, "colour": 1}', 422, "body.colour: "),
        (b'{"tree": 7}', 422, "body.tree: "),
        (b"{", 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[]", 422, "body: "),
    ],
)
def test_a_wrong_body_is_named(api: Api, body: bytes, status: int, named: str) -> None:
    reply = api.transport.request("POST", "/api/v1/pipelines", {}, body)

    assert reply.status == status
    assert named in reply.body.decode()


def test_a_body_above_the_limit_is_refused(api: Api) -> None:
    pipeline = api.launched()
    order = ControlRequest(action=Action.SKIP, paths=("/" + "x" * (1 << 20),))

    with pytest.raises(ApiError, match="may have 1048576 bytes") as caught:
        api.client.control(pipeline, order)
    assert caught.value.status == 413


def test_internal_error_has_a_number_that_is_also_logged(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ApiError, match="internal error") as caught:
        api.client.attempts("broken", "/")
    number = caught.value.problem.detail.split()[2].rstrip(",")
    assert [r.error_id for r in caplog.records if hasattr(r, "error_id")] == [number]
    assert "a bug of the test" in caplog.text


def test_response_of_another_shape_is_rejected(api: Api) -> None:
    other = read(
        "get_agent", "/pipelines", NoParams, AgentStatus, "A wrong path.", link_class=LinkClass.READ
    )

    with pytest.raises(ApiError, match="unexpected response"):
        api.client.call(other, NoParams())
