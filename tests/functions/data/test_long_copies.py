"""Files so large that copying them takes longer than a request may."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.cloud import FakeBlobs

from chalicelib.api.dispatch import Request
from chalicelib.api.transfers import StagedDownload, Upload
from chalicelib.data.copy_jobs import (
    HANDED_SECONDS,
    MAX_AT_ONCE,
    SILENT_SECONDS,
    CopyProgress,
    CopyRunningError,
    Counter,
    write_progress,
)
from chalicelib.data.function import LocalDataFiles, serve
from chalicelib.services import Services
from conducto_core.api.cloud_operations import PREPARING
from conducto_core.data import operations as data
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.installation.names import pipeline_directory
from conducto_core.run.model.params import DataParams
from conducto_core.run.model.responses import DataEntry
from support.cloud.world import ME, World
from support.trees import leaf

if TYPE_CHECKING:
    from pathlib import Path

SIZE = MAX_AT_ONCE + 5
UPLOAD = "uploads/acme/ann/k"


class Held(LocalDataFiles):
    """A data function that is asked to copy, and does so on a test's request.

    Attributes:
        requests: The requests it received.
    """

    def __init__(self, root: Path, blobs: FakeBlobs) -> None:
        super().__init__(root, blobs)
        self.requests: list[tuple[Any, ...]] = []

    def begin(self, *asked: Any) -> None:
        self.requests.append(asked)

    def go(self, number: int = -1) -> None:
        self.execute(*self.requests[number])


class Place:
    """A pipeline with a large file."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder=folder)
        self.data = Held(folder, self.world.blobs)
        self.world.cloud = self.world.over(data=self.data)
        self.world.services = Services(self.world.cloud)
        self.id = self.world.launch(leaf("a"), run=False)
        self.folder = folder / pipeline_directory(self.id).lstrip("/")
        self.folder.mkdir(parents=True)
        self.put("large", SIZE)

    def put(self, name: str, size: int) -> None:
        with (self.folder / name).open("wb") as file:
            file.truncate(size)

    def read(self, name: str = "large") -> StagedDownload:
        found = asyncio.run(self.world.pipelines().read_data(DataParams(id=self.id, name=name)))
        assert isinstance(found, StagedDownload)
        return found

    def write(self, name: str = "new") -> DataEntry:
        content = Upload(UPLOAD, lambda: iter(()))
        return asyncio.run(
            self.world.pipelines().write_data(DataParams(id=self.id, name=name), content)
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_large_file_is_copied_once_however_often_it_is_asked_for(place: Place) -> None:
    for _ in range(3):
        with pytest.raises(CopyRunningError, match="large is being copied"):
            place.read()
        place.world.now += 2
    assert len(place.data.requests) == 1

    place.data.go()

    found = place.read()
    assert place.world.blobs.size(found.key) == SIZE
    assert place.read().key == found.key
    assert len(place.data.requests) == 1


def test_a_small_file_is_there_at_once(place: Place) -> None:
    place.put("small", MAX_AT_ONCE)

    assert place.world.blobs.size(place.read("small").key) == MAX_AT_ONCE
    assert place.data.requests == []


def test_waiting_client_sees_the_progress(place: Place) -> None:
    with pytest.raises(CopyRunningError):
        place.read()
    write_progress(
        place.world.blobs, place.data.requests[0][3], CopyProgress(1_200_000_000, 4_000_000_000)
    )

    with pytest.raises(CopyRunningError, match="large is being copied: 1,200 of 4,000 MB"):
        place.read()


def test_a_file_that_is_being_written_is_not_copied_as_often_as_it_is_asked_for(
    place: Place,
) -> None:
    for more in range(3):
        place.put("large", SIZE + more)
        with pytest.raises(CopyRunningError):
            place.read()
        place.world.now += 5
    assert len(place.data.requests) == 1

    place.data.go()
    place.put("large", SIZE + 5)
    assert place.world.blobs.size(place.read().key) == SIZE + 2

    with pytest.raises(CopyRunningError):
        place.read()
    place.data.go()
    assert place.world.blobs.size(place.read().key) == SIZE + 5


def test_later_request_gets_the_current_file(place: Place) -> None:
    with pytest.raises(CopyRunningError):
        place.read()
    place.data.go()
    place.put("large", SIZE + 1)
    place.world.now += HANDED_SECONDS + 1

    with pytest.raises(CopyRunningError):
        place.read()
    place.data.go()

    assert place.world.blobs.size(place.read().key) == SIZE + 1


def test_stalled_copy_is_restarted(place: Place) -> None:
    with pytest.raises(CopyRunningError):
        place.read()
    place.world.now += SILENT_SECONDS - 1
    write_progress(place.world.blobs, place.data.requests[0][3], CopyProgress(1, SIZE))  # it lives
    place.world.now += SILENT_SECONDS - 1
    with pytest.raises(CopyRunningError):
        place.read()
    assert len(place.data.requests) == 1

    place.world.now += 2
    with pytest.raises(CopyRunningError):
        place.read()

    assert len(place.data.requests) == 2


def test_failed_copy_is_reported_and_retried_on_request(place: Place) -> None:
    with pytest.raises(CopyRunningError):
        place.read()
    (place.folder / "large").rename(place.folder / "away")
    place.data.go()
    (place.folder / "away").rename(place.folder / "large")

    with pytest.raises(NotFoundError, match="large"):
        place.read()
    with pytest.raises(CopyRunningError):
        place.read()
    place.data.go()

    assert place.world.blobs.size(place.read().key) == SIZE


def test_interrupted_copy_is_reported_and_not_retried_by_lambda(place: Place) -> None:
    with pytest.raises(CopyRunningError):
        place.read()
    key = place.data.requests[0][3]

    class Broken(FakeBlobs):
        def put_file(self, *_: Any) -> None:
            raise ConnectionError("the bucket hung up")

    broken = Broken()
    LocalDataFiles(place.folder.parent.parent, broken).execute(*place.data.requests[0])
    place.world.blobs.put(key + ".end", broken.get(key + ".end") or b"")

    with pytest.raises(RefusedError, match="large could not be copied: the bucket hung up"):
        place.read()


def test_expired_copy_is_made_again(place: Place) -> None:
    with pytest.raises(CopyRunningError):
        place.read()
    place.data.go()
    place.world.blobs.delete(place.read().key)

    with pytest.raises(CopyRunningError):
        place.read()
    place.data.go()

    assert place.world.blobs.size(place.read().key) == SIZE


def test_a_large_upload_comes_into_its_place_in_the_same_way(place: Place) -> None:
    place.world.blobs.put(UPLOAD, b"x" * SIZE)
    for _ in range(2):
        with pytest.raises(CopyRunningError, match="new is being copied"):
            place.write()
    assert not (place.folder / "new").exists()

    place.data.go()

    entry = place.write()
    assert (entry.name, entry.size) == ("new", SIZE)
    assert (place.folder / "new").stat().st_size == SIZE
    assert len(place.data.requests) == 1


def test_a_large_upload_to_a_name_that_leads_out_is_refused(place: Place) -> None:
    place.world.blobs.put(UPLOAD, b"x" * SIZE)
    with pytest.raises(CopyRunningError):
        place.write("../other")
    place.data.go()

    with pytest.raises(RefusedError):
        place.write("../other")


def test_the_function_is_asked_as_json_and_answers_nothing(place: Place) -> None:
    with pytest.raises(CopyRunningError):
        place.read()
    what, directory, name, key = place.data.requests[0]
    request = {"do": "later", "what": what, "directory": directory, "name": name, "key": key}

    assert serve(place.data, json.loads(json.dumps(request))) == {"answer": None}

    assert place.world.blobs.size(place.read().key) == SIZE


def test_running_copy_reports_its_progress() -> None:
    blobs = FakeBlobs()
    now = [0.0]
    counter = Counter(blobs, "k", 30, clock=lambda: now[0])

    for _ in range(3):
        counter.add(10)
        now[0] += 3.0

    assert json.loads(blobs.get("k.at") or b"") == [30, 30]


def test_the_api_answers_202_and_how_far_it_is(place: Place) -> None:
    api = place.world.services.api(lambda _caller: None)  # type: ignore[arg-type, return-value]
    request = Request({"id": place.id}, (("name", "large"),), {}, b"")

    place.world.tokens.put("mine", ME, expires=None)
    me = place.world.tokens.find("mine")

    first = api.call(data.DATA_FILE, me, request)
    place.data.go()
    then = api.call(data.DATA_FILE, me, request)

    assert (first.status, then.status) == (PREPARING, 303)
    told = json.loads(first.body)
    assert told["detail"].startswith("large is being copied: 0 of 34 MB")
    assert told["remedy"] == "retry in a few seconds"
