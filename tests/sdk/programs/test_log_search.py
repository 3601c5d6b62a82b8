"""Searching a log: right, and bounded whatever is asked for."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto_core.errors import RefusedError
from conducto_core.logs import handlers as log_responses
from conducto_core.logs.search import SearchQuery, SearchResult, chunk_to_search, search


def query(file: Path, text: str, **changes) -> SearchQuery:
    plain = SearchQuery(str(file), text, False, False, 0, 1000, 1 << 30)
    return plain._replace(**changes)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "log"
    file.write_bytes(b"first\nsecond \xff\r\nthird \xc3\xa4\n\nlast first")
    return file


def test_missing_stream_has_no_matches(tmp_path: Path) -> None:
    assert search(query(tmp_path / "none", "x")) == SearchResult((), None, 0)


def test_hits_come_with_number_position_and_text(log: Path) -> None:
    found = search(query(log, "first"))

    assert [(h.line, h.offset, h.text, h.start, h.end) for h in found.hits] == [
        (0, 0, "first", 0, 5),
        (4, 26, "last first", 5, 10),
    ]


def test_undecodable_bytes_and_line_ends_are_not_part_of_a_line(log: Path) -> None:
    (hit,) = search(query(log, r"^second .$", regex=True)).hits

    assert hit.text == "second \N{REPLACEMENT CHARACTER}"


def test_search_ends_at_its_limit_and_continues_there(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"match\n" * 100)

    first = search(query(file, "match", scan=60))
    rest = search(query(file, "match", offset=first.next))

    assert (len(first.hits), first.next) == (10, 60)
    assert (len(rest.hits), rest.next) == (90, None)


def test_long_line_is_shown_around_the_match(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a" * 50_000 + b"needle" + b"b" * 50_000 + b"\n")

    (hit,) = search(query(file, "needle")).hits

    assert len(hit.text) == 1000
    assert hit.text[hit.start : hit.end] == "needle"


def test_line_without_an_end_is_searched_in_chunks(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a" * (3 << 20) + b"needle")

    found = search(query(file, "needle"))

    assert len(found.hits) == 1


@given(
    lines=st.lists(st.text(alphabet="ab ä\r", max_size=5), max_size=30),
    needle=st.text(alphabet="abä", min_size=1, max_size=2),
    limit=st.integers(1, 4),
)
def test_any_search_finds_the_same_as_a_plain_one(
    lines: list[str], needle: str, limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("log") / "log"
    file.write_bytes("\n".join(lines).encode())
    numbers, offset, before = [], 0, 0

    while True:
        found = search(query(file, needle, offset=offset, limit=limit))
        numbers += [before + hit.line for hit in found.hits]
        if found.next is None:
            break
        offset = found.next
        before = file.read_bytes()[:offset].count(b"\n")

    assert numbers == [number for number, line in enumerate(lines) if needle in line]


async def test_slow_pattern_is_terminated(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a" * 60 + b"!\n")
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart = asyncio.create_task(beat())
    with pytest.raises(RefusedError, match="takes too long"):
        await log_responses.search(query(file, "(a+)+$", regex=True, seconds=1))
    heart.cancel()

    assert beats > 10  # the agent continued meanwhile


async def test_pattern_is_searched_in_a_separate_process(log: Path) -> None:
    found = await log_responses.search(query(log, "^(first|third)", regex=True))

    assert [hit.text for hit in found.hits] == ["first", "third ä"]


async def test_invalid_pattern_is_rejected(log: Path) -> None:
    with pytest.raises(RefusedError, match="not a regular expression: missing"):
        await log_responses.search(query(log, "(", regex=True))


def test_plain_text_is_not_interpreted_as_a_pattern(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("a.c\nabc\n")

    assert [hit.text for hit in search(query(file, "a.c")).hits] == ["a.c"]
    assert re.escape("a.c") != "a.c"


@pytest.mark.parametrize("offset", [0, 7 * 1000])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"needle\n" * 700_000, id="short lines"),
        pytest.param(b"needle\n" * 1100 + b"x" * (9 << 20), id="a long one"),
    ],
)
def test_chunk_of_a_stream_finds_the_same_as_the_stream(
    content: bytes, offset: int, tmp_path: Path
) -> None:
    whole, chunk = tmp_path / "whole", tmp_path / "piece"
    whole.write_bytes(content)
    count = chunk_to_search(offset, 1000, len(content))
    chunk.write_bytes(content[offset : offset + count])
    wanted = query(whole, "needle", offset=offset, scan=1000)

    found = search(wanted._replace(file=str(chunk), start=offset, size=len(content)))

    assert count < len(content) - offset
    assert found == search(wanted)
    assert found.hits
