"""The handles of the Python client: data, output and the lists of pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.pipelines import MemoryAgent, MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto.errors import AgentUnreachableError, ClientError, InvalidArgumentError
from conducto_cli.python_client.launching import _tags, submit
from conducto_cli.python_client.queries import _in_targets
from conducto_client import ApiError, Client
from conducto_client.aio import AsyncPipeline
from conducto_client.data import Data
from conducto_client.pipeline import Pipeline
from conducto_client.target import Target
from conducto_core.api.dispatch import Service
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import LaunchRequest, NodeView, Problem
from conducto_core.run.model.responses import DataEntry
from conducto_core.run.model.states import NodeType, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from conducto_client.transport.port import Body, Reply

EXPIRED = ApiError(Problem(title="refused", status=401, detail="the token has expired"))


class Transport(InProcessTransport):
    """Rejects the next writes after it has read them.

    Attributes:
        rejections: How many.
    """

    rejections = 0

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        if self.rejections and method == "PUT" and body is not None:
            self.rejections -= 1
            b"".join(body)
            raise EXPIRED
        return super().request(method, path, query, body, headers)


class Host:
    """A host with an in-process server, or none."""

    def __init__(self, transport: Transport | None, name: str = "local") -> None:
        self.transport = transport
        self.name = name

    def open(self, *, start: bool = True) -> Client:
        if self.transport is None:
            raise AgentUnreachableError("no agent is running")
        return Client(self.transport)


@pytest.fixture
def fake() -> MemoryPipelines:
    fake = MemoryPipelines()
    nodes = [NodeView(path="/", type=NodeType.SERIAL, state=State.PENDING)]
    nodes += [NodeView(path=p, type=NodeType.EXEC, state=State.PENDING) for p in ("/a", "/b")]
    fake.add("abc-def", nodes, PipelineRecord(id="abc-def", title="grid", tags=("x",), armed=True))
    return fake


@pytest.fixture
def transport(fake: MemoryPipelines) -> Iterator[Transport]:
    with Transport(Service(fake, MemoryAgent(fake))) as transport:
        yield transport


@pytest.fixture
def pipeline(transport: Transport) -> Pipeline:
    target: Any = Target(Host(transport))  # type: ignore[arg-type]
    return Pipeline(target, target.read(lambda client: client.get("abc-def")))


def test_upload_with_a_rejected_token_is_sent_again_as_a_whole(
    pipeline: Pipeline, transport: Transport, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights" * 1000)
    transport.rejections = 1
    pipeline.data.upload(tmp_path / "model.bin")
    transport.rejections = 1
    with pipeline.data.open("notes", "w") as file:
        file.write("all of it")

    assert transport.rejections == 0
    assert pipeline.data.read("model.bin") == b"weights" * 1000
    assert pipeline.data.read("notes") == b"all of it"


@pytest.mark.parametrize("name", ["nothing", "there/nothing", "nowhere/nothing"])
def test_download_of_a_missing_name_is_an_error(
    pipeline: Pipeline, tmp_path: Path, name: str
) -> None:
    pipeline.data.write("there/file", "x")

    with pytest.raises(ClientError, match=r"nothing.*no such|nowhere.*no such"):
        pipeline.data.download(name, tmp_path / "copy")

    assert [*tmp_path.iterdir()] == []
    assert (pipeline.data.download("there", tmp_path / "copy") / "file").read_text() == "x"


class Unmounted(Data):
    """Data in the cloud to which no command has written: its lists are empty."""

    def list(self, directory: str = "") -> tuple[DataEntry, ...]:
        return ()


def test_download_of_a_missing_name_in_data_of_the_cloud_is_an_error(
    transport: Transport, tmp_path: Path
) -> None:
    target: Any = Target(Host(transport))  # type: ignore[arg-type]

    with pytest.raises(ClientError, match="'model': the data of pipeline abc-def has no such"):
        Unmounted(target, "abc-def").download("model", tmp_path / "copy")

    assert [*tmp_path.iterdir()] == []


def test_follow_logs_stays_at_one_attempt(fake: MemoryPipelines, pipeline: Pipeline) -> None:
    fake.change("abc-def", "/a", State.RUNNING)
    fake.write("abc-def", "/a", b"first line\n")
    lines = pipeline["/a"].follow_logs()
    assert next(lines) == "first line\n"
    fake.change("abc-def", "/a", State.ERROR, exit_code=1)
    fake.change("abc-def", "/a", State.PENDING)
    fake.finish("abc-def", "/a")
    fake.write("abc-def", "/a", b"line of the second attempt\n", attempt=2)

    assert [*lines] == []


def test_follow_logs_ends_if_the_pipeline_settled_without_an_attempt(
    fake: MemoryPipelines, pipeline: Pipeline
) -> None:
    fake.finish("abc-def", "/a")
    fake.change("abc-def", "/b", State.DONE)

    assert pipeline.settled
    assert [*pipeline["/b"].follow_logs()] == []


def test_lists_use_the_targets_that_respond(
    transport: Transport, capfd: pytest.CaptureFixture[str]
) -> None:
    local: Any = Target(Host(None))  # type: ignore[arg-type]
    cloud: Any = Target(Host(transport, "cloud"))  # type: ignore[arg-type]

    def read(target: Target) -> list[Pipeline]:
        return [Pipeline(target, each) for each in target.read(lambda client: client.list())]

    found = _in_targets([local, cloud], read)

    assert [(each.target, each.id) for each in found] == [("cloud", "abc-def")]
    assert capfd.readouterr().err == (
        "conducto: the pipelines of this machine are not listed: no agent is running\n"
    )
    for none in ([local], [local, Target(Host(None, "cloud"))]):  # type: ignore[arg-type]
        with pytest.raises(AgentUnreachableError):
            _in_targets(none, read)


@pytest.mark.parametrize(
    ("target", "engine", "warned"),
    [("local", "docker", True), ("local", "process", False), ("cloud", "docker", False)],
)
def test_launch_warns_once_about_limits_that_the_engine_ignores(
    fake: MemoryPipelines,
    transport: Transport,
    capsys: pytest.CaptureFixture[str],
    target: str,
    engine: Any,
    *,
    warned: bool,
) -> None:
    fake.warnings = (f"limits of {target} {engine} are ignored",)
    request = LaunchRequest(tree={"nodes": {"/": {"type": "Exec"}}}, engine=engine)
    for _ in range(2):
        submit(Target(Host(transport, target)), request)  # type: ignore[arg-type]

    assert len(fake.launches) == 2
    line = "conducto: warning: limits of local docker are ignored\n"
    assert capsys.readouterr().err == (line if warned else "")


def test_tags_of_a_launch_may_be_one_text() -> None:
    assert _tags("nightly") == ["nightly"]
    assert _tags(("a", "b")) == ["a", "b"]
    with pytest.raises(InvalidArgumentError, match="tags: "):
        _tags([3])


async def test_async_pipeline_has_the_facts_of_the_launch(pipeline: Pipeline) -> None:
    twin = AsyncPipeline(pipeline)

    assert (twin.tags, twin.program, twin.created) == (("x",), None, pipeline.created)
    assert await twin.refresh() is twin
    assert await twin.settled() == pipeline.settled
    assert {twin} == {AsyncPipeline(pipeline)}
