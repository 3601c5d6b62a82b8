"""The output of commands, read from the cloud: lines, and searches in them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloud import FakeLogs

from chalicelib.logs.handlers import BlockStream
from chalicelib.logs.port import LogKey
from conducto_core.command.output import packed
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.logs.lines import TAIL_BYTES, LineIndex
from conducto_core.logs.model import MergedPage, MergedPageParams
from conducto_core.run.model.params import (
    LogFileParams,
    LogLinesParams,
    LogOutlineParams,
    LogParams,
    LogSearchParams,
    TreeParams,
)
from support.cloud.world import STRANGER, World
from support.trees import leaf

if TYPE_CHECKING:
    from conducto_core.run.model.responses import LogLines, LogMatches

KEY = LogKey("abc", "/a", 1, "stdout")
COUNTED = "".join(f"line {number}\n" for number in range(200_000))


class CountingLogs(FakeLogs):
    """Counts the reads."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes_read = 0

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        data = super().read(key, offset, limit)
        self.bytes_read += len(data)
        return data


@pytest.fixture
def logs() -> CountingLogs:
    return CountingLogs()


@pytest.fixture
def world(logs: CountingLogs) -> World:
    return World(logs=logs)


def printed(world: World, text: str) -> str:
    """Launch a command that prints a text and still runs; return the pipeline's id."""
    pipeline_id = world.launch(leaf("a"))
    world.serve()
    (worker,) = world.living()
    assert worker.job is not None
    world.cloud.storage.logs.append(
        LogKey(pipeline_id, worker.job.path, 1, "stdout"), 0, text.encode()
    )
    return pipeline_id


def lines(world: World, pipeline_id: str, **query: int) -> LogLines:
    wanted = LogLinesParams(id=pipeline_id, path="/", **query)
    return asyncio.run(world.pipelines().read_log_lines(wanted))


def search(world: World, pipeline_id: str, text: str, **more: object) -> LogMatches:
    wanted = LogSearchParams(id=pipeline_id, path="/", text=text, **more)
    return asyncio.run(world.pipelines().search_log(wanted))


def test_output_is_returned_with_its_times(world: World) -> None:
    pipeline_id = printed(world, "one\ntwo\n")
    key = LogKey(pipeline_id, "/", 1, "stdout")
    world.cloud.storage.logs.append(key, 8, b"three\n", packed([(0, 5.0), (8, 7.0)]))

    def times(*, wanted: bool) -> tuple[tuple[int, float], ...]:
        query = LogParams(id=pipeline_id, path="/", offset=8, times=wanted)
        return asyncio.run(world.pipelines().read_log(query)).times

    assert times(wanted=True) == ((8, 7.0),)
    assert times(wanted=False) == ()


def test_outline_has_times_and_groups(world: World) -> None:
    pipeline_id = printed(world, "one\n")
    key = LogKey(pipeline_id, "/", 1, "stdout")
    world.cloud.storage.logs.append(key, 4, b"--- Two\n", packed([(0, 5.0), (4, 7.0)]))
    query = LogOutlineParams(id=pipeline_id, path="/")

    found = asyncio.run(world.pipelines().outline_log(query))

    assert found.times == ((0, 5.0), (1, 7.0))
    assert [(one.line, one.title) for one in found.groups] == [(1, "Two")]


def test_the_merged_output_follows_a_running_command(world: World) -> None:
    pipeline_id = printed(world, "one\nERROR two\nunfinish")
    query = MergedPageParams(id=pipeline_id)

    def page(**more: object) -> MergedPage:
        wanted = query.model_copy(update=more)
        return asyncio.run(world.pipelines().read_output(wanted))

    first = page()
    world.cloud.storage.logs.append(LogKey(pipeline_id, "/", 1, "stdout"), 22, b"ed\n")
    following = page(at=first.next)

    assert [line.text for line in first.lines] == ["one", "ERROR two"]
    assert [line.level for line in first.lines] == ["info", "error"]
    assert (first.back, first.commands, first.left) == (None, 1, 0)
    assert [(line.text, line.offset) for line in following.lines] == [("unfinished", 14)]
    assert [line.text for line in page(level="error").lines] == ["ERROR two"]


# ---- lines ------------------------------------------------------------------------------------


def test_lines_are_found_from_both_ends(world: World) -> None:
    pipeline_id = printed(world, COUNTED)

    middle = lines(world, pipeline_id, first=150_000, count=2)
    last = lines(world, pipeline_id, first=-1, count=5)

    assert middle.lines == ("line 150000", "line 150001")
    assert (middle.total, middle.complete, middle.size) == (200_000, False, len(COUNTED))
    assert (last.first, last.lines) == (199_999, ("line 199999",))


def test_a_second_page_does_not_read_from_the_start_again(world: World, logs: CountingLogs) -> None:
    pipeline_id = printed(world, COUNTED)
    lines(world, pipeline_id, first=100_000, count=10)
    logs.bytes_read = 0

    page = lines(world, pipeline_id, first=190_000, count=10)

    assert page.lines[0] == "line 190000"
    assert logs.bytes_read < len(COUNTED) / 2


def test_lines_that_came_meanwhile_are_counted(world: World) -> None:
    pipeline_id = printed(world, "one\ntwo\n")
    before = lines(world, pipeline_id)
    key = LogKey(pipeline_id, "/", 1, "stdout")
    world.cloud.storage.logs.append(key, before.size, b"three\nfo")

    after = lines(world, pipeline_id, first=2)

    assert (before.total, after.total) == (2, 4)
    assert after.lines == ("three", "fo")


def test_a_node_that_never_ran_has_no_lines(world: World) -> None:
    pipeline_id = world.launch(leaf("a"), run=False)

    assert lines(world, pipeline_id).total == 0
    assert search(world, pipeline_id, "x").matches == ()


def test_the_end_is_known_when_the_command_has_ended(world: World) -> None:
    pipeline_id = printed(world, "one\n")
    (worker,) = world.living()
    worker.finish(exit_code=0)

    assert lines(world, pipeline_id).complete
    assert search(world, pipeline_id, "one").complete


def test_tree_page_contains_the_end_of_the_output_of_failed_nodes(world: World) -> None:
    pipeline_id = printed(world, COUNTED)
    (worker,) = world.living()
    worker.finish(exit_code=1)
    query = TreeParams(id=pipeline_id, attempts="newest", tails=True)

    (node,) = asyncio.run(world.pipelines().get_tree(query)).nodes

    assert node.tail == COUNTED[-TAIL_BYTES:]


def test_stream_of_blocks_reads_the_whole_log() -> None:
    logs = FakeLogs()
    content = bytes(range(256)) * 9000
    logs.append(KEY, 0, content)
    stream = BlockStream(logs, KEY)

    asked = [(10, 5), (1 << 16, (1 << 20) - 3), (3, 0), (7, len(content) - 3), (7, len(content))]
    read = [stream.pread(count, offset) for count, offset in asked]

    for (count, offset), found in zip(asked, read, strict=True):
        assert content[offset : offset + count].startswith(found)
        assert bool(found) == (offset < len(content))
    assert LineIndex().count(stream, len(content)) == 9000 + 1


# ---- search -----------------------------------------------------------------------------------


@pytest.mark.parametrize("regex", [False, True])
def test_search_results_contain_their_lines(world: World, regex: bool) -> None:
    pipeline_id = printed(world, COUNTED)

    found = search(world, pipeline_id, "line 15000[1]" if regex else "line 150001", regex=regex)

    (match,) = found.matches
    assert (match.line, match.text) == (150_001, "line 150001")
    assert COUNTED[match.offset :].startswith("line 150001\n")
    assert found.next is None


def test_search_continues_on_the_next_page(world: World) -> None:
    pipeline_id = printed(world, COUNTED)
    first = search(world, pipeline_id, "9", limit=2)
    assert first.next is not None

    rest = search(world, pipeline_id, "9", limit=2, offset=first.next)

    assert [match.line for match in (*first.matches, *rest.matches)] == [9, 19, 29, 39]


def test_slow_pattern_is_terminated(world: World) -> None:
    pipeline_id = printed(world, "a" * 60 + "!\n")

    with pytest.raises(RefusedError, match="takes too long"):
        search(world, pipeline_id, "(a+)+$", regex=True)


def test_invalid_pattern_is_rejected(world: World) -> None:
    pipeline_id = printed(world, "a\n")

    with pytest.raises(RefusedError, match="not a regular expression"):
        search(world, pipeline_id, "(", regex=True)


# ---- whose ------------------------------------------------------------------------------------


def test_another_organisation_reads_nothing(world: World) -> None:
    pipeline_id = printed(world, "secret\n")
    theirs = world.pipelines(STRANGER)

    with pytest.raises(NotFoundError):
        asyncio.run(theirs.read_log_lines(LogLinesParams(id=pipeline_id, path="/")))
    with pytest.raises(NotFoundError):
        asyncio.run(theirs.search_log(LogSearchParams(id=pipeline_id, path="/", text="secret")))
    with pytest.raises(NotFoundError):
        asyncio.run(theirs.download_log(LogFileParams(id=pipeline_id, path="/")))


def test_an_attempt_that_is_not_there_is_named(world: World) -> None:
    pipeline_id = printed(world, "a\n")

    with pytest.raises(NotFoundError, match=r"no attempt 7 \(there are: 1\)"):
        lines(world, pipeline_id, attempt=7)
