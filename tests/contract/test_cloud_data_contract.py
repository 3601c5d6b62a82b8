"""Data files beside the file system: in this process, and through what the function is asked."""

from __future__ import annotations

import asyncio
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError
from tests.fakes.cloud import FakeBlobs

from chalicelib.api.transfers import StagedDownload, Upload
from chalicelib.aws.clients import Clients
from chalicelib.data.aws import RESPONSE_SECONDS, DataFunction
from chalicelib.data.function import MAX_INLINE, LocalDataFiles, serve
from chalicelib.run.handlers import CloudPipelines
from conducto_core.cache.views import DamagedObjectError
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.installation.names import contents_directory, pipeline_directory, user_directory
from conducto_core.run.model.params import (
    DataParams,
    ListDataParams,
    ListUserDataParams,
    UserDataParams,
)
from support.cloud.world import ME, STRANGER, World
from support.trees import leaf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chalicelib.run.port import DataFiles

HERE = pipeline_directory("abc")
SECRET = b"of somebody else"


class Invoked:
    """boto3's clients, whose Lambda is `serve`: requests and responses pass as JSON."""

    def __init__(self, files: LocalDataFiles, error: str | None = None) -> None:
        self._files = files
        self._error = error

    def once(self, service: str, seconds: float) -> Invoked:
        assert service == "lambda"
        assert seconds < 29  # API Gateway's
        return self

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803  boto3's
        assert FunctionName == "conducto-test-data"
        if self._error is not None:
            said = json.dumps({"errorMessage": self._error}).encode()
            return {"Payload": io.BytesIO(said), "FunctionError": "Unhandled"}
        said = json.dumps(serve(self._files, json.loads(Payload))).encode()
        return {"Payload": io.BytesIO(said)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The mounted file system, with links in it that a command could have made."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    mounted = tmp_path / "efs"
    here = mounted / HERE.lstrip("/")
    here.mkdir(parents=True)
    (mounted / pipeline_directory("other").lstrip("/")).mkdir()
    (mounted / pipeline_directory("other").lstrip("/") / "secret").write_bytes(SECRET)
    (here / "out").symlink_to(tmp_path / "outside")
    (here / "out-file").symlink_to(tmp_path / "outside" / "secret")
    (here / "neighbour").symlink_to("../other")
    return mounted


@pytest.fixture
def blobs() -> FakeBlobs:
    return FakeBlobs()


@pytest.fixture(params=["local", "function"])
def files(request: pytest.FixtureRequest, root: Path, blobs: FakeBlobs) -> DataFiles:
    local = LocalDataFiles(root, blobs)
    if request.param == "local":
        return local
    return DataFunction(Invoked(local), "conducto-test-data")  # type: ignore[arg-type]


# ---- the port ---------------------------------------------------------------------------------


def test_a_file_that_was_written_is_listed_and_can_be_fetched(
    files: DataFiles, blobs: FakeBlobs
) -> None:
    entry = files.write(HERE, "a/b.bin", b"\x00\xff" * 3)
    files.stage(HERE, "a/b.bin", "uploads/acme/ann/k")

    assert (entry.name, entry.kind, entry.size) == ("a/b.bin", "file", 6)
    assert [e.name for e in files.entries(HERE, "a", None, 10).entries] == ["a/b.bin"]
    assert blobs.get("uploads/acme/ann/k") == b"\x00\xff" * 3


def test_a_file_is_fetched_from_the_bucket(files: DataFiles, blobs: FakeBlobs, root: Path) -> None:
    content = os.urandom(MAX_INLINE + 5)
    blobs.put("uploads/acme/ann/k", content)

    entry = files.fetch(HERE, "large", "uploads/acme/ann/k")

    assert entry.size == len(content)
    assert (root / HERE.lstrip("/") / "large").read_bytes() == content


def test_missing_upload_is_not_found_and_replaces_nothing(files: DataFiles) -> None:
    files.write(HERE, "kept", b"before")

    with pytest.raises(NotFoundError, match="kept: its content was not uploaded"):
        files.fetch(HERE, "kept", "uploads/acme/ann/nothing")

    assert files.stat(HERE, "kept").size == 6


def test_files_of_cached_commands_are_kept_and_placed(files: DataFiles, root: Path) -> None:
    contents, target = contents_directory("acme"), pipeline_directory("new")
    files.write(HERE, "raw/a", b"one")
    files.write(HERE, "sum", b"all")
    raw = files.marks(HERE, contents, ["raw/"], 5).inputs
    wrote = files.marks(HERE, contents, ["sum"], 5).found
    assert raw == {"raw/": "d", "raw/a": f"-{sha256(b'one').hexdigest()}"}
    assert files.save_contents(HERE, contents, wrote) == 3
    files.write(target, "sum", b"other")

    files.place(target, contents, ["sum"], wrote, 5)
    assert (root / target.lstrip("/") / "sum").read_bytes() == b"all"
    assert "out is a link that leads out" in str(files.marks(HERE, contents, ["out"], 5).problem)
    with pytest.raises(TimeoutError, match="too long to read"):
        files.marks(HERE, contents, ["raw/"], -1)

    files.trim(-1)
    with pytest.raises(DamagedObjectError, match="the content of sum is not in the cache"):
        files.place(pipeline_directory("third"), contents, ["sum"], wrote, 5)


def test_another_content_is_another_version(files: DataFiles) -> None:
    files.write(HERE, "f", b"one")
    first, again = files.stat(HERE, "f"), files.stat(HERE, "f")
    files.write(HERE, "f", b"two")

    assert first == again
    assert files.stat(HERE, "f").version != first.version


def test_entries_come_in_pages(files: DataFiles) -> None:
    for name in ("1", "2", "3"):
        files.write(HERE, f"d/{name}", b"")

    page = files.entries(HERE, "d", None, 2)
    rest = files.entries(HERE, "d", page.next, 2)

    assert [e.name for e in page.entries] == ["d/1", "d/2"]
    assert [e.name for e in rest.entries] == ["d/3"]
    assert rest.next is None


def test_recently_written_files_are_found(files: DataFiles, root: Path) -> None:
    for name in ("early", "a/ours"):
        files.write(HERE, name, b"x")
    os.utime(root / HERE.lstrip("/") / "early", (1000.0, 1000.0))

    found = files.changed(HERE, 2000.0, None, 10)

    assert [entry.name for entry in found.entries] == ["a/ours"]
    assert files.changed(pipeline_directory("unknown"), 0.0, None, 10).entries == ()


def test_directory_is_deleted_with_its_content(files: DataFiles) -> None:
    files.write(HERE, "d/1", b"")

    assert files.delete(HERE, "d").name == "d"
    with pytest.raises(NotFoundError):
        files.stat(HERE, "d/1")


def test_a_pipeline_that_has_written_nothing_has_no_files(files: DataFiles) -> None:
    nowhere = pipeline_directory("new")

    assert files.entries(nowhere, "", None, 10).entries == ()
    with pytest.raises(NotFoundError):
        files.stat(nowhere, "f")
    with pytest.raises(NotFoundError):
        files.delete(nowhere, "f")


def test_a_first_file_makes_the_directory_as_commands_need_it(files: DataFiles, root: Path) -> None:
    new = pipeline_directory("new")

    files.write(new, "d/f", b"x")

    assert (root / new.lstrip("/")).stat().st_mode & 0o777 == 0o777


@pytest.mark.parametrize(
    "name",
    ["../other/secret", "a/../../other/secret", "out/secret", "out-file", "neighbour/secret"],
)
def test_nothing_outside_of_the_directory_is_reached(
    files: DataFiles, root: Path, blobs: FakeBlobs, name: str
) -> None:
    for reach in (
        lambda: files.stat(HERE, name),
        lambda: files.stage(HERE, name, "k"),
        lambda: files.entries(HERE, name.rpartition("/")[0] or name, None, 10),
    ):
        with pytest.raises(RefusedError):
            reach()

    assert not blobs.exists("k")
    assert (root.parent / "outside" / "secret").read_bytes() == SECRET


@pytest.mark.parametrize("name", ["../other/secret", "out/secret", "neighbour/new"])
def test_nothing_outside_of_the_directory_is_changed(
    files: DataFiles, root: Path, name: str
) -> None:
    with pytest.raises(RefusedError):
        files.write(HERE, name, b"mine")
    with pytest.raises(RefusedError):
        files.delete(HERE, name)

    assert (root.parent / "outside" / "secret").read_bytes() == SECRET
    other = root / pipeline_directory("other").lstrip("/")
    assert [one.name for one in other.iterdir()] == ["secret"]


@pytest.mark.parametrize("directory", ["/", "", "/pipelines", "/pipelines/../users/x", "/etc/x"])
def test_only_directories_of_data_are_opened(files: DataFiles, directory: str) -> None:
    with pytest.raises(RefusedError, match="is not a data directory"):
        files.entries(directory, "", None, 10)
    with pytest.raises(RefusedError, match="is not a data directory"):
        files.write(directory, "f", b"")


def test_every_directory_that_a_pipeline_or_a_user_has_can_be_opened(files: DataFiles) -> None:
    for directory in (pipeline_directory("a-1_B"), user_directory("acme", "ann@example.org")):
        files.write(directory, "f", b"x")

        assert files.stat(directory, "f").size == 1


def test_failing_function_raises_an_error() -> None:
    clients = Invoked(LocalDataFiles, error="Task timed out after 900.00 seconds")  # type: ignore[arg-type]
    files = DataFunction(clients, "conducto-test-data")  # type: ignore[arg-type]

    with pytest.raises(RuntimeError, match=r"the data function failed: Task timed out"):
        files.entries(HERE, "", None, 10)


def test_function_is_invoked_once_and_given_its_time() -> None:
    clients = Clients("us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    config = clients.once("lambda", RESPONSE_SECONDS).meta.config

    assert config.read_timeout == RESPONSE_SECONDS
    assert config.retries["total_max_attempts"] == 1
    assert clients.get("lambda").meta.config.retries["total_max_attempts"] == 3


def test_calls_that_take_too_long_time_out_after_whole_seconds() -> None:
    asked = []

    class Slow:
        def once(self, service: str, seconds: float) -> Slow:
            asked.append((service, seconds))
            return self

        def invoke(self, **_: object) -> None:
            raise ReadTimeoutError(endpoint_url="https://lambda")

    files = DataFunction(Slow(), "conducto-test-data")  # type: ignore[arg-type]
    for seconds in (7.9, -1.0, inf):
        with pytest.raises(TimeoutError, match=f"{HERE} was not deleted within"):
            files.forget(HERE, seconds)

    assert asked == [("lambda", 7), ("lambda", 1), ("lambda", RESPONSE_SECONDS)]
    with pytest.raises(TimeoutError, match=f"the files of {HERE} were not counted within 3 s"):
        files.total(HERE, 3.0)


def test_concurrent_deletions_of_a_directory_succeed(root: Path, blobs: FakeBlobs) -> None:
    files = LocalDataFiles(root, blobs)
    for folder in range(20):
        below = root / HERE.lstrip("/") / str(folder)
        below.mkdir()
        for number in range(50):
            (below / str(number)).touch()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(files.forget, [HERE] * 4))

    assert not (root / HERE.lstrip("/")).exists()
    assert (root.parent / "outside" / "secret").read_bytes() == SECRET


def test_function_of_another_version_names_the_remedy(root: Path, blobs: FakeBlobs) -> None:
    response = serve(LocalDataFiles(root, blobs), {"do": "fly", "directory": HERE})

    assert response == {
        "error": "refused",
        "message": "the data function does not know 'fly'; deploy again",
    }


# ---- as the API answers -----------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(folder=tmp_path / "efs")


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def named(pipeline_id: str | None, name: str) -> UserDataParams:
    return (
        UserDataParams(name=name) if pipeline_id is None else DataParams(id=pipeline_id, name=name)
    )


def put(pipelines: CloudPipelines, pipeline_id: str | None, name: str, *parts: bytes) -> None:
    asyncio.run(pipelines.write_data(named(pipeline_id, name), chunks(*parts)))


def fetched(world: World, pipeline_id: str | None, name: str) -> bytes | None:
    found = asyncio.run(world.pipelines().read_data(named(pipeline_id, name)))
    assert isinstance(found, StagedDownload)
    return world.blobs.get(found.key) if found.size else b""


@pytest.mark.parametrize("size", [0, 10, MAX_INLINE, MAX_INLINE + 1])
def test_a_file_of_any_size_comes_back_as_it_was(world: World, size: int) -> None:
    pipeline_id = world.launch(leaf("a"), run=False)
    content = os.urandom(size)

    put(world.pipelines(), pipeline_id, "f", content[: size // 2], content[size // 2 :])

    assert fetched(world, pipeline_id, "f") == content


def test_uploaded_content_never_passes_through_the_api(world: World) -> None:
    pipeline_id = world.launch(leaf("a"), run=False)
    world.blobs.put("uploads/acme/ann/k", b"large")

    def unread() -> Any:
        raise AssertionError("the API reads it")

    content = Upload("uploads/acme/ann/k", unread)
    asyncio.run(world.pipelines().write_data(DataParams(id=pipeline_id, name="f"), content))

    assert fetched(world, pipeline_id, "f") == b"large"


def test_file_is_staged_once_and_again_after_a_change(world: World) -> None:
    pipeline_id = world.launch(leaf("a"), run=False)
    pipelines = world.pipelines()
    put(pipelines, pipeline_id, "f", b"one")
    first = asyncio.run(pipelines.read_data(DataParams(id=pipeline_id, name="f")))
    again = asyncio.run(pipelines.read_data(DataParams(id=pipeline_id, name="f")))
    put(pipelines, pipeline_id, "f", b"two")
    changed = asyncio.run(pipelines.read_data(DataParams(id=pipeline_id, name="f")))

    assert isinstance(first, StagedDownload)
    assert isinstance(again, StagedDownload)
    assert isinstance(changed, StagedDownload)
    assert first.key == again.key != changed.key
    assert world.blobs.get(changed.key) == b"two"


def test_another_organisations_pipeline_has_no_data(world: World) -> None:
    pipeline_id = world.launch(leaf("a"), run=False)
    put(world.pipelines(), pipeline_id, "f", SECRET)
    stranger = world.pipelines(STRANGER)

    with pytest.raises(NotFoundError):
        asyncio.run(stranger.list_data(ListDataParams(id=pipeline_id)))
    with pytest.raises(NotFoundError):
        asyncio.run(stranger.read_data(DataParams(id=pipeline_id, name="f")))
    with pytest.raises(NotFoundError):
        put(stranger, pipeline_id, "f", b"theirs")
    with pytest.raises(NotFoundError):
        asyncio.run(stranger.delete_data(DataParams(id=pipeline_id, name="f")))
    assert fetched(world, pipeline_id, "f") == SECRET


def test_each_user_has_data_of_their_own(world: World) -> None:
    put(world.pipelines(ME), None, "mine", b"x")

    listed = asyncio.run(world.pipelines(STRANGER).list_data(ListUserDataParams()))

    assert listed.entries == ()
    assert fetched(world, None, "mine") == b"x"


def test_deleted_directory_is_removed_with_its_content(files: DataFiles, root: Path) -> None:
    files.write(HERE, "a/b/c", b"x")

    files.forget(HERE)
    files.forget(HERE)

    assert files.entries(HERE, "", None, 10).entries == ()
    assert not (root / HERE.lstrip("/")).exists()
    assert any(path.read_bytes() == SECRET for path in root.parent.rglob("secret"))
    with pytest.raises(RefusedError):
        files.forget("/pipelines")
