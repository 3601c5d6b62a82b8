"""Digests of files that outlast a process: the files that are not read again, and the others."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto_core.cache.ledger import LEDGER, Ledger, Line
from conducto_core.cache.views import CachedFiles

OLD = time.time() - 3600
LINES = [Line(1, 2, 3, 4, 5, "ab" * 32), Line(1, 7, 0, -4, 5, "cd" * 32)]


def spoil(file: Path) -> None:
    """Change the content of a file without its size and times, as nothing that runs can."""
    status = file.stat()
    with file.open("r+b") as opened:
        opened.write(b"X")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


class Place:
    """A cache and a directory of data, whose files are read by several processes."""

    def __init__(self, folder: Path) -> None:
        self.contents, self.data = folder / "contents", folder / "data"
        self.data.mkdir()

    def write(self, name: str, content: bytes) -> Path:
        (self.data / name).write_bytes(content)
        return self.data / name

    def marks(self, *, shared: bool = False) -> dict[str, str]:
        """Return the marks in a process that has just started."""
        return dict(CachedFiles(self.contents, shared=shared).marks(self.data, ["**"]).found)

    def lines(self) -> list[Line]:
        return Ledger(self.contents / LEDGER).news()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def wait_until_sure(file: Path) -> None:
    """Wait until a change would have another time; no clock but that of the files counts."""
    while time.time() - file.stat().st_ctime <= 2.0:
        time.sleep(0.05)


def test_a_file_is_read_once_by_all_processes(place: Place) -> None:
    file = place.write("a", b"one")
    wait_until_sure(file)
    first = place.marks()
    (line,) = place.lines()
    assert (line.inode, line.size) == (file.stat().st_ino, 3)

    # A digest that is not that of the content shows that the file was not read.
    Ledger(place.contents / LEDGER).add([line._replace(digest="ab" * 32)])
    assert place.marks() == {"a": "-" + "ab" * 32}
    file.write_bytes(b"two")
    assert place.marks() != first
    file.write_bytes(b"one")
    assert place.marks() == first


def test_a_file_that_changed_a_moment_ago_is_not_kept(place: Place) -> None:
    place.write("a", b"one")
    place.marks()
    assert place.lines() == []


@pytest.mark.parametrize("change", ["content", "size", "replaced", "times"])
def test_a_changed_file_is_read_again(place: Place, change: str) -> None:
    file = place.write("a", b"one")
    wait_until_sure(file)
    first = place.marks()
    if change == "content":
        spoil(file)  # its time of change is set back, but not that of its status
    elif change == "size":
        file.write_bytes(b"longer")
    elif change == "replaced":
        status = file.stat()
        new = place.write("new", b"two")
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        new.replace(file)
    else:
        os.utime(file, (OLD, OLD))
    assert (place.marks() == first) == (change == "times")


def test_files_that_a_hit_writes_and_an_attempt_keeps_are_known(
    place: Place, tmp_path: Path
) -> None:
    file = place.write("a", b"one")
    wait_until_sure(file)
    files = CachedFiles(place.contents)
    wrote = files.marks(place.data, ["a"]).found
    files.save_contents(place.data, wrote)  # a link changes the time of its status
    other = tmp_path / "other"
    other.mkdir()
    files.restore(other, ["a"], wrote)
    known = {(line.inode, line.touched) for line in place.lines()}
    for each in (file, other / "a"):
        assert (each.stat().st_ino, each.stat().st_ctime_ns) in known


def test_content_that_a_report_names_is_not_known(place: Place) -> None:
    place.write("a", b"one")
    lie = "ab" * 32
    CachedFiles(place.contents, shared=True).save_contents(place.data, {"a": f"-{lie}"})
    assert place.marks(shared=True)["a"] != f"-{lie}"


@given(cut=st.integers(0, 400), at=st.integers(0, 400), byte=st.binary(min_size=1, max_size=3))
def test_a_damaged_ledger_has_no_wrong_line(
    tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, byte: bytes
) -> None:
    path = tmp_path_factory.mktemp("ledger") / LEDGER
    Ledger(path).add(LINES)
    text = path.read_bytes()
    path.write_bytes(text[:at] + byte + text[at + len(byte) : max(at, len(text) - cut)])
    assert set(Ledger(path).news()) <= set(LINES)
    Ledger(path).add(LINES)  # at most one line is lost
    assert LINES[1] in Ledger(path).news()


def test_processes_see_the_lines_of_others(tmp_path: Path) -> None:
    one, other = (Ledger(tmp_path / LEDGER, shared=True) for _ in range(2))
    one.add(LINES[:1])
    assert other.news() == LINES[:1]
    one.add(LINES[1:])
    assert other.news() == LINES[1:]
    assert other.news() == []


def test_a_ledger_of_another_start_of_the_machine_is_empty(tmp_path: Path) -> None:
    path = tmp_path / LEDGER
    Ledger(path).add(LINES)
    head, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(head[:-4] + b"0000\n" + rest)
    assert Ledger(path).news() == []
    Ledger(path).add(LINES[:1])
    assert Ledger(path).news() == LINES[:1]
