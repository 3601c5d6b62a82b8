"""Output is kept byte for byte, costs nothing where there is none, and can be paged."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto_core.logs.lines import FileStream, LineIndex
from conducto_local.logs.store import LogDirectory, LogReader, LogWriter, StoredChunk
from support.limits import files_no_larger_than


@pytest.fixture
def logs(tmp_path: Path) -> LogDirectory:
    return LogDirectory(tmp_path / "logs")


def written(logs: LogDirectory, data: bytes, path: str = "/a") -> None:
    writer = logs.writer(path, 1)
    writer.write("stdout", data)
    writer.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_output_comes_back_byte_for_byte(logs: LogDirectory) -> None:
    data = bytes(range(256)) * 3

    written(logs, data)

    assert logs.reader("/a", 1).read("stdout") == StoredChunk(0, data, 768)


def test_the_two_streams_are_kept_apart(logs: LogDirectory) -> None:
    writer = logs.writer("/a", 1)

    writer.write("stdout", b"out")
    writer.write("stderr", b"err")
    writer.close()

    reader = logs.reader("/a", 1)
    assert (reader.read("stdout").data, reader.read("stderr").data) == (b"out", b"err")


def test_attempts_and_nodes_are_kept_apart(logs: LogDirectory) -> None:
    places = [("/a", 1), ("/a", 11), ("/a", 2), ("/b", 1), ("/a-1", 1)]
    for path, attempt in places:
        logs.writer(path, attempt).write("stdout", f"{path} {attempt}".encode())

    found = [logs.reader(*place).read("stdout").data.decode() for place in places]

    assert found == [f"{path} {attempt}" for path, attempt in places]


def test_written_output_can_be_read_at_once(logs: LogDirectory) -> None:
    writer = logs.writer("/a", 1)

    writer.write("stdout", b"half a li")

    assert logs.reader("/a", 1).read("stdout").data == b"half a li"


def test_writer_appends_after_a_restart(logs: LogDirectory) -> None:
    written(logs, b"before ")

    written(logs, b"after")

    assert logs.reader("/a", 1).read("stdout").data == b"before after"


def test_a_silent_attempt_costs_neither_file_nor_descriptor(
    logs: LogDirectory, tmp_path: Path
) -> None:
    before = open_files()

    writers = [logs.writer(f"/{i}", 1) for i in range(1000)]
    for writer in writers:
        writer.write("stdout", b"")

    assert open_files() == before
    assert list(tmp_path.iterdir()) == []


def test_a_closed_writer_holds_no_descriptor(logs: LogDirectory) -> None:
    before = open_files()
    writer = logs.writer("/a", 1)
    writer.write("stdout", b"x")
    writer.write("stderr", b"x")

    writer.close()
    writer.close()

    assert open_files() == before


def test_a_closed_writer_takes_no_more(logs: LogDirectory) -> None:
    writer = logs.writer("/a", 1)
    writer.close()

    with pytest.raises(ValueError, match="closed"):
        writer.write("stdout", b"late")


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/" + "n" * 5000, "/nul\0", "/\udc80", "/ü 🚆\n"]
)
def test_names_of_nodes_do_not_reach_the_file_system(
    logs: LogDirectory, tmp_path: Path, path: str
) -> None:
    written(logs, b"x", path)

    file = logs.file(path, 1, "stdout")
    assert file.read_bytes() == b"x"
    assert file.parent.parent == tmp_path / "logs"
    assert len(file.name) < 60


def test_logs_are_private(logs: LogDirectory, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        written(logs, b"x")
    finally:
        os.umask(before)

    file = logs.file("/a", 1, "stdout")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [
        (0, 4, StoredChunk(0, b"0123", 10)),
        (8, 4, StoredChunk(8, b"89", 10)),
        (10, 4, StoredChunk(10, b"", 10)),
        (99, 4, StoredChunk(10, b"", 10)),
        (-3, 99, StoredChunk(7, b"789", 10)),
        (-3, 2, StoredChunk(7, b"78", 10)),
        (-99, 2, StoredChunk(0, b"01", 10)),
        (3, 0, StoredChunk(3, b"", 10)),
    ],
    ids=["start", "end", "at end", "behind", "tail", "of tail", "before", "nothing"],
)
def test_chunk_lies_within_the_stream(
    logs: LogDirectory, offset: int, limit: int, expected: StoredChunk
) -> None:
    written(logs, b"0123456789")

    assert logs.reader("/a", 1).read("stdout", offset, limit) == expected


@pytest.mark.parametrize("offset", [0, 7, -7])
def test_a_stream_that_nothing_was_written_to_is_empty(logs: LogDirectory, offset: int) -> None:
    reader = logs.reader("/a", 1)

    assert reader.read("stderr", offset) == StoredChunk(0, b"", 0)
    assert reader.size("stderr") == 0
    assert reader.lines("stderr", offset, 5) == (0, (), False, None, 0, 0)


def test_size_grows_with_the_written_output(logs: LogDirectory) -> None:
    writer, reader = logs.writer("/a", 1), logs.reader("/a", 1)
    writer.write("stdout", b"12345")

    assert reader.size("stdout") == 5


LINES = b"zero\none\r\n\n\0three\nfour"


@pytest.mark.parametrize(
    ("first", "count", "expected"),
    [
        (0, 2, (0, (b"zero\n", b"one\r\n"), False)),
        (2, 2, (2, (b"\n", b"\0three\n"), False)),
        (3, 9, (3, (b"\0three\n", b"four"), False)),
        (4, 1, (4, (b"four",), False)),
        (5, 1, (5, (), False)),
        (-2, 9, (3, (b"\0three\n", b"four"), False)),
        (-9, 1, (0, (b"zero\n",), False)),
        (1, 0, (1, (), False)),
    ],
    ids=["first", "middle", "last", "open", "behind", "tail", "before", "none"],
)
def test_lines_are_paged_by_number(logs: LogDirectory, first, count, expected) -> None:
    written(logs, LINES)

    assert logs.reader("/a", 1).lines("stdout", first, count)[:3] == expected


@pytest.mark.parametrize(
    ("data", "count"), [(b"\n", 1), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (LINES, 5)]
)
def test_an_open_last_line_counts(logs: LogDirectory, data: bytes, count: int) -> None:
    written(logs, data)

    assert logs.reader("/a", 1).lines("stdout", 0, 1).total == count


def test_a_line_without_an_end_is_cut_at_the_limit(logs: LogDirectory) -> None:
    written(logs, b"x" * 200_000)

    lines = logs.reader("/a", 1).lines("stdout", 0, 1, limit=70_000)

    assert lines[:3] == (0, (b"x" * 70_000,), True)


def test_lines_that_just_fit_are_not_said_to_be_cut(logs: LogDirectory) -> None:
    written(logs, b"ab\ncd\n")

    lines = logs.reader("/a", 1).lines("stdout", 0, 9, limit=6)

    assert lines[:3] == (0, (b"ab\n", b"cd\n"), False)


def test_lines_come_while_the_log_grows(logs: LogDirectory) -> None:
    writer, reader = logs.writer("/a", 1), logs.reader("/a", 1)
    writer.write("stdout", b"a\n" * 100_000)
    assert reader.lines("stdout", 0, 1).total == 100_000

    writer.write("stdout", b"b\n" * 100_000)

    more = reader.lines("stdout", 150_000, 1)
    assert (more.lines, more.total) == ((b"b\n",), 200_000)


def test_a_log_too_large_for_its_index_is_still_paged_rightly(tmp_path: Path) -> None:
    lines = [b"%d\n" % i for i in range(5000)]
    file = tmp_path / "log"
    file.write_bytes(b"".join(lines))
    index = LineIndex(stride=8, max_points=16)
    descriptor = os.open(file, os.O_RDONLY)

    starts = [index.start_of(FileStream(descriptor), number) for number in (4999, 17, 2500, 1)]
    count = index.count(FileStream(descriptor), file.stat().st_size)

    os.close(descriptor)
    expected = [sum(map(len, lines[:number])) for number in (4999, 17, 2500, 1)]
    assert (starts, count) == (expected, 5000)


@given(
    parts=st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"q", b"\n")), max_size=20),
    asked=st.lists(st.integers(0, 60), min_size=1, max_size=5),
    stride=st.integers(1, 30),
)
def test_any_line_of_any_growing_log_is_found(
    parts: list[bytes], asked: list[int], stride: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("log") / "log"
    index, content = LineIndex(stride=stride, max_points=4), b""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        for part in parts:
            os.write(descriptor, part)
            content += part
            ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
            for line in asked:
                expected = ([0, *ends][line]) if line <= len(ends) else None
                assert index.start_of(FileStream(descriptor), line) == expected
            open_line = bool(content) and not content.endswith(b"\n")
            assert index.count(FileStream(descriptor), len(content)) == len(ends) + open_line
    finally:
        os.close(descriptor)


def test_lines_say_where_they_begin_and_how_many_there_are(logs: LogDirectory) -> None:
    written(logs, LINES)

    lines = logs.reader("/a", 1).lines("stdout", 2, 1)

    assert (lines.offset, lines.total, lines.size) == (LINES.index(b"\n\0"), 5, len(LINES))


def test_a_long_log_is_counted_a_part_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a\n" * 100)
    index = LineIndex(stride=10, budget=50)
    with file.open("rb") as stream:
        counts = [index.count(FileStream(stream.fileno()), 200) for _ in range(4)]
        start = index.start_of(FileStream(stream.fileno()), 90)

    assert counts == [None, None, None, 100]
    assert start == 180


def test_start_of_an_unindexed_line_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a\n" * 100)
    index = LineIndex(stride=10, budget=50)
    with file.open("rb") as stream:
        starts = [index.start_of(FileStream(stream.fileno()), 75) for _ in range(3)]

    assert starts == [None, None, 150]


def test_a_reader_is_kept_for_the_next_page(logs: LogDirectory) -> None:
    first = logs.reader("/a", 1)

    assert logs.reader("/a", 1) is first


def test_number_of_kept_readers_is_limited(logs: LogDirectory) -> None:
    first = logs.reader("/a", 1)
    for i in range(20):
        logs.reader(f"/{i}", 1)

    assert logs.reader("/a", 1) is not first


def full_writer(logs: LogDirectory) -> LogWriter:
    """A writer whose stdout is on a disk that takes nothing: the kernel's own full device."""
    file = logs.file("/a", 1, "stdout")
    file.parent.mkdir(parents=True)
    file.symlink_to("/dev/full")
    return logs.writer("/a", 1)


def test_full_disk_is_reported_in_a_sentence(logs: LogDirectory) -> None:
    writer = full_writer(logs)

    writer.write("stdout", b"lost")

    assert "is full or over its quota" in (writer.failure or "")


def test_writer_on_a_full_disk_counts_the_lost_bytes(logs: LogDirectory) -> None:
    writer = full_writer(logs)

    writer.write("stdout", b"lost")
    writer.write("stderr", b"lost too")

    assert writer.dropped == 12


def test_a_writer_on_a_full_disk_holds_no_descriptor(logs: LogDirectory) -> None:
    writer = full_writer(logs)
    before = open_files()

    writer.write("stdout", b"lost")

    assert open_files() == before


def test_output_before_the_disk_was_full_is_kept(logs: LogDirectory) -> None:
    writer = logs.writer("/a", 1)
    writer.write("stdout", b"kept ")

    with files_no_larger_than(10):
        writer.write("stdout", b"kept lost")

    assert logs.reader("/a", 1).read("stdout").data == b"kept kept "
    assert writer.dropped == 4


def test_append_after_a_gap_is_rejected(logs: LogDirectory) -> None:
    writer = logs.writer("/a", 1)
    with files_no_larger_than(4):
        writer.write("stdout", b"keptlost")

    writer.write("stdout", b"after")
    writer.write("stderr", b"after")

    assert logs.reader("/a", 1).read("stdout").data == b"kept"
    assert logs.reader("/a", 1).size("stderr") == 0


def test_unwritable_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in the way")
    writer = LogDirectory(tmp_path / "logs").writer("/a", 1)

    writer.write("stdout", b"x")

    assert "cannot be written to (Not a directory)" in (writer.failure or "")


def test_times_of_output_survive_a_restart(tmp_path: Path) -> None:
    now = [100.0]

    def write(*parts: bytes) -> None:
        writer = LogWriter(tmp_path / "ab" / "x-1", lambda: now[0])
        for part in parts:
            writer.write("stdout", part)
            now[0] += 1.0
        writer.close()

    write(b"one\n", b"two\n")
    write(b"three\n")
    reader = LogReader(tmp_path / "ab" / "x-1")

    assert reader.times("stdout", 0, 14) == ((0, 100.0), (4, 101.0), (8, 102.0))
    assert reader.times("stdout", 5, 8) == ((4, 101.0),)
    assert reader.times("stderr", 0, 10) == ()
