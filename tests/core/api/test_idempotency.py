"""A request with an idempotency key is executed once."""

import asyncio
import http.client
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.pipelines import MemoryPipelines

from conducto_core.api.idempotency import (
    IdempotentExecutor,
    MemoryResponses,
    NotRememberedError,
    ResponseStore,
)
from conducto_core.api.problems import ProblemError
from conducto_core.data import operations as data
from conducto_core.debug import operations as debug
from conducto_core.remote.operations import LOGIN
from conducto_core.run import operations as pipelines
from conducto_core.secrets import operations as secrets
from conducto_local.server.idempotency import IdempotencyFile, remembered
from support.api_server import TOKEN, running_server
from support.disks import fill, small_disk

Make = Callable[..., ResponseStore]


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    opened: list[IdempotencyFile] = []

    def in_file(**limits: float) -> ResponseStore:
        opened.append(IdempotencyFile(tmp_path / "answers.sqlite", **limits))
        return opened[-1]

    yield MemoryResponses if request.param == "memory" else in_file
    for responses in opened:
        responses.close()


class Work:
    """Counts its executions."""

    def __init__(self) -> None:
        self.times = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> bytes:
        self.times += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return b"answer %d" % self.times


@pytest.fixture
def work() -> Work:
    return Work()


async def test_repeated_request_gets_the_same_response(make: Make, work: Work) -> None:
    once = IdempotentExecutor(make())

    responses = [await once.respond("k", (b"launch", b"body"), work) for _ in range(3)]

    assert responses == [b"answer 1"] * 3
    assert work.times == 1


async def test_another_request_under_the_key_is_refused(make: Make, work: Work) -> None:
    once = IdempotentExecutor(make())
    await once.respond("k", (b"launch", b"body"), work)

    for other in ((b"launch", b"other"), (b"control", b"body"), (b"launchb", b"ody")):
        with pytest.raises(ProblemError, match="was used for another request") as caught:
            await once.respond("k", other, work)
        assert caught.value.problem.status == 422
    assert work.times == 1


async def test_another_key_is_another_request(make: Make, work: Work) -> None:
    once = IdempotentExecutor(make())

    assert await once.respond("a", (b"x",), work) != await once.respond("b", (b"x",), work)


async def test_failed_request_may_be_retried(make: Make, work: Work) -> None:
    once = IdempotentExecutor(make())
    work.error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        await once.respond("k", (b"x",), work)

    work.error = None

    assert await once.respond("k", (b"x",), work) == b"answer 2"


async def test_two_at_once_are_one(make: Make, work: Work) -> None:
    once = IdempotentExecutor(make())
    work.gate.clear()
    both = [asyncio.create_task(once.respond("k", (b"x",), work)) for _ in range(2)]
    await asyncio.sleep(0)

    work.gate.set()

    assert await asyncio.gather(*both) == [b"answer 1"] * 2
    assert work.times == 1


async def test_interrupted_request_is_not_repeated_silently(make: Make, work: Work) -> None:
    store = make()
    work.gate.clear()
    cut = asyncio.create_task(IdempotentExecutor(store).respond("k", (b"x",), work))
    await asyncio.sleep(0)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)

    with pytest.raises(ProblemError, match="interrupted") as caught:
        await IdempotentExecutor(store).respond("k", (b"x",), work)

    assert caught.value.problem.status == 409
    assert caught.value.problem.remedy is not None


async def test_interrupted_request_is_repeated_if_that_is_safe(make: Make, work: Work) -> None:
    store = make()
    work.gate.clear()
    cut = asyncio.create_task(IdempotentExecutor(store).respond("k", (b"x",), work))
    await asyncio.sleep(0)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)

    async def again() -> bytes:
        return b"as before"

    once = IdempotentExecutor(store)
    with pytest.raises(ProblemError, match="another request"):
        await once.respond("k", (b"y",), work, again=again)
    assert await once.respond("k", (b"x",), work, again=again) == b"as before"
    assert await once.respond("k", (b"x",), work) == b"as before"


async def test_a_key_is_forgotten_after_its_time(make: Make, work: Work) -> None:
    now = [1000.0]
    once = IdempotentExecutor(make(seconds=60), lambda: now[0])
    await once.respond("k", (b"x",), work)

    now[0] += 60

    assert await once.respond("k", (b"x",), work) == b"answer 2"


async def test_clock_set_back_does_not_keep_keys_forever(make: Make, work: Work) -> None:
    now = [1000.0]
    once = IdempotentExecutor(make(seconds=60), lambda: now[0])
    await once.respond("k", (b"x",), work)

    now[0] -= 61

    assert await once.respond("k", (b"x",), work) == b"answer 2"


async def test_number_of_remembered_responses_is_limited(make: Make, work: Work) -> None:
    now = [1000.0]
    once = IdempotentExecutor(make(maximum=2), lambda: now[0])
    for key in ("a", "b", "c"):
        now[0] += 1
        await once.respond(key, (b"x",), work)

    assert await once.respond("c", (b"x",), work) == b"answer 3"
    assert await once.respond("a", (b"x",), work) == b"answer 4"


@pytest.mark.parametrize("key", ["", "x" * 201, "ä", "a\nb"])
async def test_invalid_key_is_rejected(make: Make, work: Work, key: str) -> None:
    with pytest.raises(ProblemError, match="1 to 200 printable"):
        await IdempotentExecutor(make()).respond(key, (b"x",), work)

    assert work.times == 0


async def test_answers_outlive_the_process(tmp_path: Path, work: Work) -> None:
    with remembered(tmp_path / "a.sqlite") as first:
        await IdempotentExecutor(first).respond("k", (b"x",), work)
    with remembered(tmp_path / "a.sqlite") as second:
        response = await IdempotentExecutor(second).respond("k", (b"x",), work)

    assert response == b"answer 1"
    assert (tmp_path / "a.sqlite").stat().st_mode & 0o777 == 0o600


async def test_a_private_request_leaves_nothing_in_the_file(tmp_path: Path, work: Work) -> None:
    with remembered(tmp_path / "a.sqlite") as responses:
        once = IdempotentExecutor(responses)
        repeated = [await once.respond("k", (b"secret",), work, private=True) for _ in range(2)]

    connection = sqlite3.connect(tmp_path / "a.sqlite")
    rows = connection.execute("SELECT count(*) FROM answers").fetchone()
    connection.close()
    assert repeated == [b"answer 1"] * 2
    assert rows == (0,)


async def test_damaged_file_is_recreated(tmp_path: Path, work: Work) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"no database " * 100)

    with remembered(tmp_path / "a.sqlite") as responses:
        assert await IdempotentExecutor(responses).respond("k", (b"x",), work) == b"answer 1"


async def test_unwritable_response_is_remembered_by_the_process(tmp_path: Path, work: Work) -> None:
    with remembered(tmp_path / "a.sqlite") as responses:
        pass  # closed: nothing can be written any more
    once = IdempotentExecutor(responses)

    repeated = [await once.respond("k", (b"x",), work) for _ in range(2)]

    assert repeated == [b"answer 1"] * 2


async def test_full_disk_does_not_block_actions(tmp_path: Path, work: Work) -> None:
    with small_disk(tmp_path / "disk", 4) as disk, remembered(disk / "a.sqlite") as responses:
        fill(disk)
        once = IdempotentExecutor(responses)
        repeated = [await once.respond(f"k{n % 50}", (b"x",), work) for n in range(100)]

    assert work.times == 50
    assert repeated[:50] == repeated[50:]


async def test_unavailable_file_does_not_prevent_the_start(tmp_path: Path, work: Work) -> None:
    with remembered(tmp_path / "nowhere" / "a.sqlite") as responses:
        once = IdempotentExecutor(responses)
        repeated = [await once.respond("k", (b"x",), work) for _ in range(2)]

    assert repeated == [b"answer 1"] * 2


def test_a_launch_that_arrives_twice_makes_one_pipeline() -> None:
    fake = MemoryPipelines()
    tree = b'{"tree": {"nodes": {"/": {"type": "Serial"}}}}'
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "application/json",
        "Idempotency-Key": "one",
    }
    with running_server(fake) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        responses = []
        for body in (tree, tree, tree.replace(b"Serial", b"Parallel")):
            connection.request("POST", "/api/v1/pipelines", body, headers)
            response = connection.getresponse()
            responses.append((response.status, response.read()))
        connection.close()

    assert responses[0] == responses[1]
    assert [status for status, _ in responses] == [200, 200, 422]
    assert len(fake.launches) == 1


@pytest.mark.parametrize("operation", [debug.DEBUG, LOGIN, pipelines.GET, data.PUT_DATA])
def test_answers_that_are_secret_or_harmless_are_not_remembered(operation) -> None:
    assert not operation.remembered


@pytest.mark.parametrize("operation", [pipelines.LAUNCH, pipelines.CONTROL, secrets.DELETE_SECRETS])
def test_actions_are_remembered(operation) -> None:
    assert operation.remembered


class Forgetful(MemoryResponses):
    """A store whose disk is full by the time that the response arrives."""

    def finish(self, key: str, answer: bytes) -> None:
        raise NotRememberedError("the disk is full")


async def test_oversized_response_is_remembered_by_the_process(work: Work) -> None:
    once = IdempotentExecutor(Forgetful())

    first = await once.respond("k", (b"x",), work)

    assert await once.respond("k", (b"x",), work) == first
    assert work.times == 1
