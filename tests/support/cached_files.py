"""Random programs of commands with files, which the tests of both drivers run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from hypothesis import strategies as st

import conducto as co
from conducto.wire.data_names import INPUTS

#: Where the links of a view lead.
_LINKED = f"{INPUTS}/pipeline/"


class Container:
    """The files that a command finds in its container.

    Args:
        root: The directory that is mounted as the pipeline's data.
        inputs: The one to which the links of a view lead.
    """

    def __init__(self, root: Path, inputs: Path | None = None) -> None:
        self.root = root
        self._inputs = inputs

    def read(self) -> dict[str, str]:
        """Return ``{name: content}`` of all files that it sees."""
        found = {}
        for folder, below, names in os.walk(self.root):
            for name in (*below, *names):
                path = Path(folder, name)
                real = self._real(path)
                inner = real.rglob("*") if real.is_dir() and path.is_symlink() else [real]
                for file in inner:
                    if file.is_file():
                        shown = path / file.relative_to(real) if file != real else path
                        found[str(shown.relative_to(self.root))] = file.read_text()
        return found

    def _real(self, path: Path) -> Path:
        target = f"{path.readlink()}" if path.is_symlink() else ""
        if self._inputs is not None and target.startswith(_LINKED):
            return self._inputs / target.removeprefix(_LINKED)
        return path

    def write(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


Command = Callable[[Container], object]


class Commands(Protocol):
    """The commands of a test, by their text."""

    def add(self, name: str, command: Command) -> None:
        """Let a command do something."""


def tree(cache: co.Cache, seed: str = "seed") -> co.Serial:
    root = co.Serial(image="x", title="t")
    root["seed"] = co.Exec(seed)
    root["make"] = co.Exec("make", cache=cache)
    return root


def seed(**files: str) -> Command:
    def run(box: Container) -> None:
        for name, content in files.items():
            box.write(f"raw/{name}", content)
        box.write("hidden", "x")

    return run


def total(box: Container) -> None:
    box.write("out/sum", " ".join(f"{k}={v}" for k, v in sorted(box.read().items())))


READS_RAW = co.Cache(reads=["raw/"], writes=["out/"])

# ---- random programs -----------------------------------------------------------------------------

NAMES = ["a/x", "a/y", "b/x", "c"]
READS = [["a/"], ["b/"], ["a/x"], ["*/x"], ["**"], ["c"], []]
WRITES = [["b/"], ["c"], ["a/y"], ["d/"]]
STEP = st.tuples(st.sampled_from(READS), st.sampled_from(WRITES), st.integers(0, 2), st.booleans())


def _step(writes: list[str], number: int) -> Command:
    """Write a text about all that the command sees."""

    def run(box: Container) -> None:
        seen = sorted((k, v) for k, v in box.read().items() if k != writes[0])
        name = writes[0] if not writes[0].endswith("/") else f"{writes[0]}{number}"
        box.write(name, f"{number} {hash(tuple(seen)) % 1000}")

    return run


def program(
    commands: Commands,
    content: dict[str, str],
    steps: list[Any],
    start_cache: co.Cache | None = None,
) -> co.Serial:
    def start(box: Container) -> None:
        for name, text in content.items():
            box.write(name, text)

    root = co.Serial(image="x", title="t")
    commands.add(repr(content), start)
    root["start"] = co.Exec(repr(content), cache=start_cache)
    for at, (reads, writes, number, is_cached) in enumerate(steps):
        text = f"{reads} {writes} {number}"
        cache = co.Cache(reads=reads, writes=writes, inputs="copy" if number else "link")
        commands.add(text, _step(writes, number))
        root[f"s{at}"] = co.Exec(text, cache=cache if is_cached or reads != ["**"] else None)
    return root


#: The cache of a first command that may write any file.
WRITES_ANY = co.Cache(writes=["**"])
CONTENT = st.dictionaries(st.sampled_from(NAMES), st.sampled_from("12"), min_size=1)
CONTENTS = st.lists(CONTENT, min_size=2, max_size=3)
STEPS = st.lists(STEP, min_size=2, max_size=4)
