"""The cost of the cache: launches that run nothing, views of files, and files that a hit writes."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import conducto as co
from bench.local.lab import LocalLab
from bench.registry import BenchError
from conducto_core.cache.views import CachedFiles
from conducto_core.tree.model import Caching

Found = dict[str, float]
_COMMANDS = 1000
_FILES, _SMALL = 10_000, 4096
_LARGE = 256 << 20
#: Seconds for which the digest of a changed file is not remembered, and a little more.
_UNSURE = 2.2
_salts = count()


def unchanged_1000(lab: LocalLab) -> Found:
    """Return the times of a launch whose commands are all from the cache, but one."""
    salt = f"{os.getpid()} {next(_salts)}"
    lab.agent.run(_tree(salt))
    times = lab.agent.run(_tree(salt))
    attempts = lab.agent.client.attempts(times.pipeline, f"/n{_COMMANDS - 1:04}")
    if attempts[-1].from_cache is None:
        raise BenchError(f"the commands of {times.pipeline} were not from the cache")
    scale = 1000 / _COMMANDS
    return {
        "ms_per_exec": times.wall * scale,
        "agent_cpu_ms_per_exec": times.agent_cpu * scale,
    }


def _tree(salt: str) -> co.Parallel:
    root = co.Parallel(cache=co.Cache(salt=salt))
    for number in range(_COMMANDS):
        root[f"n{number:04}"] = co.Exec(f"true {number}")
    root["runs"] = co.Exec("true", cache=False)  # the lab measures from the first command
    return root


def links_10000(_lab: LocalLab) -> Found:
    """Return the CPU time of a symbolic link, for 10,000 files in one directory."""
    with _folder() as folder:
        started = time.process_time()
        for number in range(_FILES):
            (folder / str(number)).symlink_to(f"/data/{number}")
        return {"us_per_file": _us(started)}


def view_10000(_lab: LocalLab) -> Found:
    """Return the CPU time of a view for each file, whose digests are known."""
    with _folder() as folder:
        data, files = folder / "data", CachedFiles(folder / "contents")
        (data / "raw").mkdir(parents=True)
        for number in range(_FILES):
            (data / f"raw/{number}").write_bytes(os.urandom(_SMALL))
        time.sleep(_UNSURE)
        started = time.process_time()
        files.marks(data, ["raw/*"])
        digest = _us(started)
        (folder / "view").mkdir()
        started = time.process_time()
        files.view(folder / "view", data, Caching(reads=("raw/*",)))
        return {"us_per_file": _us(started), "digest_us_per_file": digest}


def copy_and_digest(_lab: LocalLab) -> Found:
    """Return the CPU time of a copy by the kernel and a SHA-256 of the copy."""
    with _folder() as folder:
        (folder / "a").write_bytes(os.urandom(_LARGE))
        started = time.process_time()
        shutil.copyfile(folder / "a", folder / "b")
        with (folder / "b").open("rb") as copy:
            hashlib.file_digest(copy, "sha256")
        return {"cpu_ms": 1000 * (time.process_time() - started)}


def restore_large(_lab: LocalLab) -> Found:
    """Return the CPU time in which a hit writes a large file, and in which it was stored."""
    with _folder() as folder:
        files = CachedFiles(folder / "contents")
        for name in ("first", "second"):
            (folder / name).mkdir()
        (folder / "first/a").write_bytes(os.urandom(_LARGE))
        wrote = files.marks(folder / "first", ["a"]).found
        started = time.process_time()
        files.save_contents(folder / "first", wrote)
        kept = time.process_time()
        files.restore(folder / "second", ["a"], wrote)
        return {
            "cpu_ms": 1000 * (time.process_time() - kept),
            "keep_cpu_ms": 1000 * (kept - started),
        }


def known_large(_lab: LocalLab) -> Found:
    """Return the CPU time in which a new process marks a large file that an earlier one read."""
    with _folder() as folder:
        (folder / "data").mkdir()
        (folder / "data/a").write_bytes(os.urandom(_LARGE))
        time.sleep(_UNSURE)
        found = []
        for _ in range(2):
            files = CachedFiles(folder / "contents")
            started = time.process_time()
            marks = files.marks(folder / "data", ["a"])
            found.append((1000 * (time.process_time() - started), marks))
        (first, digest), (again, same) = found
        if digest != same:
            raise BenchError("the digests differ")
        return {"cpu_ms": again, "first_cpu_ms": first}


def _us(started: float) -> float:
    return 1e6 * (time.process_time() - started) / _FILES


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="conducto-bench-") as folder:
        yield Path(folder)
