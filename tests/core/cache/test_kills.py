"""A process is killed before each of its writes of cached files: nothing wrong is used."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

from conducto_core.cache.views import CachedFiles
from conducto_core.tree.model import Caching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_WRITES = {"open", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.mkdir"}
_CACHE = Caching(reads=("raw/",), writes=("out/",))
#: The files of an attempt: changed, new, below a new directory, executable.
_NEW = {"out/a": "new a", "out/b": "b", "out/deep/c": "c", "out/run": "x"}


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Run work in a process that dies before its write with a number; return whether it died."""
    child = os.fork()
    if child == 0:
        left = [number]

        def hook(event: str, _arguments: object) -> None:
            left[0] -= event in _WRITES
            if event in _WRITES and left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


def moments(work: Callable[[], object], prepare: Callable[[], object]) -> Iterator[int]:
    """Yield after each death of a process that does some work, which starts again each time."""
    number = 0
    while True:
        number += 1
        prepare()
        if not killed_at(number, work):
            break
        yield number
    assert number > 10


def fill(folder: Path, files: dict[str, str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name.endswith("run"):
            path.chmod(0o755)


def found(folder: Path) -> dict[str, str]:
    files = (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())
    return {str(each.relative_to(folder)): each.read_text() for each in files}


def kept(tmp_path: Path) -> dict[str, str]:
    """Save the contents of an attempt; return its marks."""
    fill(tmp_path / "made", _NEW)
    files = CachedFiles(tmp_path / "objects")
    wrote = dict(files.marks(tmp_path / "made", ("out/",)).found)
    files.save_contents(tmp_path / "made", wrote)
    return wrote


def test_a_hit_that_dies_leaves_whole_files_and_can_be_repeated(tmp_path: Path) -> None:
    wrote = kept(tmp_path)
    data, before = tmp_path / "data", {"out/a": "old a", "out/old": "old", "raw/x": "1"}

    def restore() -> None:
        CachedFiles(tmp_path / "objects").restore(data, _CACHE.writes, wrote)

    for _ in moments(restore, lambda: fill(data, before)):
        for name, text in found(data).items():
            whole = {before.get(name), _NEW.get(name)}
            assert text in whole or name.rpartition("/")[2].startswith("."), name
        restore()
        assert {n: t for n, t in found(data).items() if "/." not in n} == {**_NEW, "raw/x": "1"}


def test_a_content_under_its_name_is_whole_after_a_death(tmp_path: Path) -> None:
    wrote, objects = kept(tmp_path), tmp_path / "objects"

    def save_contents() -> None:
        CachedFiles(objects).save_contents(tmp_path / "made", wrote)

    for _ in moments(save_contents, lambda: shutil.rmtree(objects)):
        for path in (each for each in objects.rglob("*") if len(each.name) == 64):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        save_contents()
        files = CachedFiles(objects)
        files.trim({mark[1:] for mark in wrote.values()}, path_time(objects) + 7200)
        left = [each.name for each in objects.rglob("*") if each.is_file()]
        assert {name for name in left if not name.endswith(".used")} == {
            mark[1:] for mark in wrote.values() if mark != "d"
        }


def path_time(path: Path) -> float:
    return path.stat().st_ctime


def test_an_attempt_that_dies_while_its_files_are_moved_runs_again(tmp_path: Path) -> None:
    data, before = tmp_path / "data", {"out/a": "old a", "out/old": "old", "raw/x": "1"}
    roots = iter(range(1000))

    def attempt() -> None:
        files, root = CachedFiles(tmp_path / "objects"), tmp_path / f"view{next(roots)}"
        root.mkdir()
        view = files.view(root, data, _CACHE)
        for name, text in _NEW.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        files.publish(view)

    def prepare() -> None:
        fill(data, before)
        for folder in tmp_path.glob("view*"):
            shutil.rmtree(folder)

    for _ in moments(attempt, prepare):
        assert found(data)["raw/x"] == "1"
        next(roots)  # the child took one
        attempt()
        assert {n: t for n, t in found(data).items() if "/." not in n} == {**_NEW, "raw/x": "1"}
