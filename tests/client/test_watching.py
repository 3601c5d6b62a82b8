"""Waiting for a pipeline, over lost connections, new agents and expired tokens."""

from __future__ import annotations

import io
import pickle
import sys
import threading
from contextlib import closing
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.transport import InProcessTransport

import conducto as co
from conducto.errors import ConductoError, WaitTimeoutError
from conducto_client import AgentUnreachableError, ApiError, Client
from conducto_client.actions import NodeChanges
from conducto_client.notebook import NotebookProgress, TerminalProgress
from conducto_client.pipeline import Pipeline
from conducto_client.target import Target
from conducto_client.transport.port import StreamLostError
from conducto_client.watching import Watcher
from conducto_core.api.dispatch import Service
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import Changes, ControlRequest, NodeView, Problem
from conducto_core.run.model.states import NodeType, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXPIRED = ApiError(Problem(title="refused", status=401, detail="the token has expired"))
BUSY = ApiError(Problem(title="busy", status=429, detail="too many requests"))
FAILED = ApiError(Problem(title="failed", status=503, detail="the server is overloaded"))


class Transport(InProcessTransport):
    """Loses or rejects the next streams, as scripted."""

    def __init__(self, fake: MemoryPipelines, troubles: list[Exception]) -> None:
        super().__init__(Service(fake))
        self.troubles = troubles

    def stream(
        self, path: str, query: Mapping[str, str], *, heartbeat: float | None = None
    ) -> Iterator[bytes]:
        if self.troubles:
            raise self.troubles.pop(0)
        with closing(super().stream(path, query, heartbeat=0.01)) as frames:
            for frame in frames:
                if self.troubles:
                    raise self.troubles.pop(0)
                yield frame


class Host:
    """A host whose server may be unreachable.

    Attributes:
        opened: Whether each opened client was allowed to start an agent.
    """

    name = "local"

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.opened: list[bool] = []
        self.unreachable = 0

    def open(self, *, start: bool = True) -> Client:
        self.opened.append(start)
        if self.unreachable and not start:
            self.unreachable -= 1
            raise AgentUnreachableError("no agent is running")
        return Client(self.transport)

    def rebuild_request(self, client: Client, pipeline_id: str, request: ControlRequest) -> Any:
        return request

    def failure_report(self, client: Client, pipeline_id: str) -> str:
        return "1 of 1 Execs failed"

    def open_page(self, client: Client, pipeline_id: str | None) -> str:
        return ""


@pytest.fixture
def fake() -> MemoryPipelines:
    fake = MemoryPipelines()
    nodes = [NodeView(path="/", type=NodeType.SERIAL, state=State.PENDING)]
    nodes.append(NodeView(path="/a", type=NodeType.EXEC, state=State.PENDING))
    fake.add("abc-def", nodes, PipelineRecord(id="abc-def", title="grid", armed=True))
    fake.change("abc-def", "/a", State.RUNNING)
    return fake


@pytest.fixture
def host(fake: MemoryPipelines) -> Iterator[Host]:
    with Transport(fake, []) as transport:
        yield Host(transport)


def watcher(host: Host, reconnect: float = 60.0) -> Watcher:
    return Watcher(Target(host), "abc-def", reconnect, retry=0.01)


def pipeline_of(host: Host) -> Pipeline:
    target = Target(host)
    pipeline = Pipeline(target, target.read(lambda client: client.get("abc-def")))
    pipeline._watcher = Watcher(target, "abc-def", retry=0.01)
    return pipeline


def finish_soon(fake: MemoryPipelines, state: State = State.DONE) -> None:
    threading.Timer(0.05, fake.change, ("abc-def", "/a", state)).start()


@pytest.mark.parametrize(
    "trouble",
    [StreamLostError("the agent was killed"), EXPIRED, BUSY, FAILED],
    ids=["lost", "new token", "429", "503"],
)
def test_wait_continues_after_a_lost_connection(
    fake: MemoryPipelines, host: Host, trouble: Exception
) -> None:
    host.transport.troubles += [trouble]
    host.unreachable = 2
    finish_soon(fake)

    states = [summary.state for summary in watcher(host).wait(30)]

    assert (states[0], states[-1]) == (State.RUNNING, State.DONE)
    assert not host.transport.troubles


def test_wait_does_not_start_an_agent_that_was_stopped(host: Host) -> None:
    host.unreachable = 1000

    with pytest.raises(AgentUnreachableError, match=r"unreachable for 0\.05 s.*\n.*no agent"):
        list(watcher(host, reconnect=0.05).wait(None))

    assert True not in host.opened[1:]  # the first one read the state


def test_wait_ends_with_an_error_when_the_token_stays_rejected(host: Host) -> None:
    host.transport.troubles += [EXPIRED, EXPIRED]

    with pytest.raises(ApiError, match="the token has expired"):
        list(watcher(host).wait(30))


def test_wait_ends_with_the_error_of_a_server_that_keeps_failing(host: Host) -> None:
    host.transport.troubles += [FAILED] * 1000

    with pytest.raises(ApiError, match="the server is overloaded"):
        list(watcher(host, reconnect=0.05).wait(30))

    assert len(host.transport.troubles) < 999


def test_wait_ends_at_its_timeout_and_the_pipeline_continues(host: Host) -> None:
    pipeline = pipeline_of(host)

    with pytest.raises(TimeoutError, match=r"abc-def is running after 0\.05 s; it continues") as it:
        pipeline.wait(0.05)

    assert isinstance(it.value, WaitTimeoutError)
    assert pipeline.state == "running"


def test_pausing_is_noticed_although_no_node_changes(fake: MemoryPipelines, host: Host) -> None:
    steps = watcher(host).wait(30)
    next(steps)
    fake.change("abc-def", "/a", State.PENDING)
    with Client(host.transport) as client:
        client.control("abc-def", ControlRequest(action="pause"))

    assert [*steps][-1].settled


def test_wait_raises_with_the_report_if_it_is_asked_to(fake: MemoryPipelines, host: Host) -> None:
    finish_soon(fake, State.ERROR)

    with pytest.raises(co.PipelineFailed) as caught:
        pipeline_of(host).wait(30, check=True)

    assert (caught.value.report, caught.value.state) == ("1 of 1 Execs failed", "error")
    assert isinstance(caught.value, ConductoError)


def test_errors_survive_pickling_to_another_process() -> None:
    failed = pickle.loads(pickle.dumps(co.PipelineFailed("report", "abc-def", "killed")))
    refused = pickle.loads(pickle.dumps(EXPIRED))

    assert (str(failed), failed.pipeline_id, failed.state) == ("report", "abc-def", "killed")
    assert (str(refused), refused.status) == ("the token has expired", 401)


def test_follow_yields_each_change_once_over_lost_connections(
    fake: MemoryPipelines, host: Host
) -> None:
    changes = pipeline_of(host).follow()
    seen = [next(changes).seq]
    host.transport.troubles += [StreamLostError("cut"), StreamLostError("cut")]
    finish_soon(fake)

    seen += [change.seq for change in changes]

    assert seen == list(range(1, len(seen) + 1))


def test_follow_ends_at_once_when_everything_is_known(fake: MemoryPipelines, host: Host) -> None:
    fake.change("abc-def", "/a", State.DONE)
    pipeline = pipeline_of(host)

    assert [*pipeline.follow(since=pipeline.summary.seq)] == []


def test_call_with_an_expired_token_is_repeated_with_the_current_one(host: Host) -> None:
    tries = count()

    def operation(client: Client) -> str:
        if next(tries) == 0:
            raise EXPIRED
        return "the result"

    assert Target(host).call(operation) == "the result"


def test_read_starts_an_agent_that_was_lost(host: Host) -> None:
    tries = count()

    def operation(client: Client) -> str:
        if next(tries) == 0:
            raise AgentUnreachableError("killed")
        return "the result"

    assert Target(host).read(operation) == "the result"
    assert host.opened == [True, True]


def test_display_escapes_names(fake: MemoryPipelines, host: Host) -> None:
    nodes = [NodeView(path="/", type=NodeType.SERIAL, state=State.PENDING)]
    nodes.append(NodeView(path="/<script>", type=NodeType.EXEC, state=State.PENDING))
    fake.add("abc-def", nodes, PipelineRecord(id="abc-def", title="<b>&"))

    html = pipeline_of(host)._repr_html_()

    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;&amp;" in html


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the views of a stand-in for IPython, in the order in which they were displayed."""
    views: list[str] = []
    kernel, module = ModuleType("IPython"), ModuleType("IPython.display")
    handle = SimpleNamespace(update=lambda html: views.append(f"update {html}"))
    kernel.get_ipython = lambda: SimpleNamespace(kernel=True)  # type: ignore[attr-defined]
    module.HTML = str  # type: ignore[attr-defined]
    module.display = lambda html, display_id: views.append(html) or handle  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return views


def test_wait_in_a_notebook_updates_one_view(
    fake: MemoryPipelines, host: Host, displayed: list[str]
) -> None:
    finish_soon(fake)

    pipeline_of(host).wait(30)

    assert "running, 0/1 done" in displayed[0]
    assert displayed[-1].startswith("update <div")
    assert "done, 1/1 done" in displayed[-1]


def test_wait_in_a_notebook_survives_a_view_that_cannot_be_read(
    host: Host, displayed: list[str]
) -> None:
    views: list[str | Exception] = [AgentUnreachableError("killed"), "<div>"]

    def html() -> str:
        view = views.pop(0)
        if isinstance(view, Exception):
            raise view
        return view

    shown = NotebookProgress(html)
    shown.show(pipeline_of(host).summary)
    assert displayed == []
    shown.show(pipeline_of(host).summary)

    assert displayed == ["<div>"]


def test_pipeline_in_a_notebook_is_displayed_until_it_has_settled(
    fake: MemoryPipelines, host: Host, displayed: list[str]
) -> None:
    fake.change("abc-def", "/a", State.DONE)

    pipeline_of(host)._ipython_display_()

    assert len(displayed) == 1
    assert "done, 1/1 done" in displayed[0]


def test_progress_on_a_terminal_is_one_line_without_control_characters(
    fake: MemoryPipelines, host: Host
) -> None:
    nodes = [NodeView(path="/", type=NodeType.EXEC, state=State.ERROR)]
    fake.add("abc-def", nodes, PipelineRecord(id="abc-def", title="evil\x1b[2J"))
    stream = io.StringIO()
    shown = TerminalProgress(stream)

    shown.show(pipeline_of(host).summary)
    shown.close()

    assert stream.getvalue() == "\revil?[2J abc-def: error, 0/1 done, 1 failed\n"


def test_wait_prints_nothing_without_a_terminal(
    fake: MemoryPipelines, host: Host, capfd: pytest.CaptureFixture[str]
) -> None:
    finish_soon(fake)

    pipeline_of(host).wait(30)

    assert capfd.readouterr() == ("", "")


def test_types_of_modify_name_the_fields_of_changes() -> None:
    assert NodeChanges.__annotations__.keys() == Changes.model_fields.keys()
