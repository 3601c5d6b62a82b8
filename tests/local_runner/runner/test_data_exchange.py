"""`co.data` on the host, while a command of the pipeline exchanges a directory and a link."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from conducto import data
from conducto.tools import data_tools

SECRET = b"of the host"
# 2: RENAME_EXCHANGE, see renameat2(2).
EXCHANGER = """\
import ctypes, os, sys
libc = ctypes.CDLL(None)
names = (-100, os.fsencode(sys.argv[1]), -100, os.fsencode(sys.argv[2]), 2)
print(libc.renameat2(*names), flush=True)
while True:
    libc.renameat2(*names)
"""
DELETE_WITH_A_LOW_LIMIT = """\
import shutil, sys
from conducto import data
data.pipeline.exists("")
sys.setrecursionlimit(100)
data.pipeline.delete("deep", recursive=True)
"""
ROUNDS = 300
REFUSED = (OSError, ValueError)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux only")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_bytes(SECRET)
    return folder


@pytest.fixture
def root(tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data of a pipeline: a directory, and beside it a link that leads out."""
    folder = tmp_path / "data"
    (folder / "flip").mkdir(parents=True)
    (folder / "flip" / "file").write_bytes(b"ours")
    (folder / "link").symlink_to(outside)
    monkeypatch.setenv("CONDUCTO_DATA_PIPELINE", str(folder))
    return folder


@contextmanager
def exchanging(one: Path, other: Path) -> Iterator[None]:
    """Exchange two names as fast as possible, as a process of its own does."""
    with subprocess.Popen(
        [sys.executable, "-c", EXCHANGER, one, other], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n"
        try:
            yield
        finally:
            process.kill()


def attempt(action: Callable[[], object]) -> set[object]:
    """Return the results of an action that is often refused."""
    results: set[object] = set()
    for _ in range(ROUNDS):
        with suppress(*REFUSED):
            results.add(action())
    return results


def test_no_content_from_outside_is_read(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "got"

    def get() -> bytes:
        data_tools.pipeline(["get", "flip/file", str(target)])
        return target.read_bytes()

    with exchanging(root / "flip", root / "link"):
        read = attempt(lambda: data.pipeline.gets("flip/file"))
        got = attempt(get)
        sizes = attempt(lambda: data.pipeline.size("flip/file"))

    assert (read | got) - {b"ours"} == set()
    assert sizes - {len(b"ours")} == set()


def test_nothing_is_written_outside(root: Path, outside: Path) -> None:
    with exchanging(root / "flip", root / "link"):
        attempt(lambda: data.pipeline.puts("flip/new", b"x"))
        attempt(lambda: data.pipeline.puts("flip/below/new", b"x"))

    assert [path.name for path in outside.iterdir()] == ["file"]


def test_nothing_is_deleted_outside(root: Path, outside: Path) -> None:
    (outside / "below").mkdir()

    def delete() -> None:
        data.pipeline.puts("flip/below/file", b"x")
        data.pipeline.delete("flip/below", recursive=True)

    with exchanging(root / "flip", root / "link"):
        attempt(delete)
        attempt(lambda: data.pipeline.delete("flip/file"))

    assert sorted(path.name for path in outside.iterdir()) == ["below", "file"]


def test_an_exchanged_directory_is_deleted_and_its_target_is_not(root: Path, outside: Path) -> None:
    def delete() -> None:
        data.pipeline.puts("flip/file", b"ours")
        data.pipeline.delete("flip", recursive=True)

    with exchanging(root / "flip", root / "link"):
        attempt(delete)

    assert (outside / "file").read_bytes() == SECRET


def test_a_cache_outside_is_not_restored(root: Path, outside: Path, tmp_path: Path) -> None:
    (outside / "1.tar.gz").write_bytes(b"no tar")
    (root / "conducto-cache").mkdir()
    (root / "conducto-cache" / "c").symlink_to(outside)

    with pytest.raises(ValueError, match="leads out of"):
        data.pipeline.restore_cache("c", "1", str(tmp_path / "into"))


def test_a_directory_deeper_than_the_recursion_limit_is_deleted(root: Path) -> None:
    (root / "deep" / Path("/".join("d" * 120))).mkdir(parents=True)

    subprocess.run([sys.executable, "-c", DELETE_WITH_A_LOW_LIMIT], check=True, timeout=60)

    assert not (root / "deep").exists()


def test_a_pipe_is_refused_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")

    with pytest.raises(OSError, match="not a regular file"):
        data.pipeline.gets("pipe")
