"""Live changes of nodes become edits of the script, or sentences."""

from __future__ import annotations

import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.assistants.rules.patch import (
    ABSENT,
    MadeNode,
    PatchSite,
    SourceChange,
    diff,
    patch,
)

if TYPE_CHECKING:
    from pathlib import Path

FILE = "pipeline.py"


def patched(source: str, *changes: SourceChange, **node: Any) -> tuple[str, list[str]]:
    lines = node.pop("lines", (1,))
    sites = tuple(PatchSite(FILE, line) for line in lines)
    made = MadeNode("/a", node.get("name", "a"), node.get("command", "make"), sites, changes)
    uses = Counter(dict.fromkeys(sites, 1)) | Counter(node.get("uses", {}))
    result = patch([made], {FILE: source}, uses)
    return result.sources[FILE], result.by_hand


C = SourceChange
HELPER = "def step(root, name, command, mem=1):\n    root[name] = co.Exec(command, mem=mem)\n"
TWO = """def inner(root, command):
    root["a"] = co.Exec(command)
def outer(root, text):
    inner(root, command=text)
"""
EDITS = {
    "literal, same quotes": (
        "root['a'] = co.Exec('make tset', cpu=2)  # é\n",
        [C("command", "make tset", "make test")],
        "root['a'] = co.Exec('make test', cpu=2)  # é\n",
        {"command": "make tset"},
    ),
    "columns count bytes": (
        'x = "éé…"; root["a"] = co.Exec("make")\n',
        [C("command", "make", "make 'all'")],
        'x = "éé…"; root["a"] = co.Exec("make \'all\'")\n',
        {},
    ),
    "triple quotes": (
        'root["a"] = co.Exec(\n    """cd src\nmake tset\n""",\n    mem=2,\n)\n',
        [C("command", "cd src\nmake tset\n", "cd src\nmake test\n")],
        'root["a"] = co.Exec(\n    """cd src\nmake test\n""",\n    mem=2,\n)\n',
        {"command": "cd src\nmake tset\n"},
    ),
    "replaced and added": (
        'root["a"] = co.Exec("make", mem=0.5)\n',
        [C("mem", 0.5, 2.0), C("cpu", ABSENT, 4)],
        'root["a"] = co.Exec("make", mem=2, cpu=4)\n',
        {},
    ),
    "added in a line of its own": (
        'root["a"] = co.Exec(\n    "make",\n    doc="x",\n)\n',
        [C("mem", ABSENT, 8)],
        'root["a"] = co.Exec(\n    "make",\n    doc="x",\n    mem=8,\n)\n',
        {},
    ),
    "environment": (
        'root["a"] = co.Exec("make", env={"A": "1", "B": "2", "C": "3"})\n',
        [C("env.A", "1", "9"), C("env.D", ABSENT, "4"), C("env.B", "2", ABSENT)],
        'root["a"] = co.Exec("make", env={"A": "9", "C": "3", "D": "4"})\n',
        {},
    ),
    "environment that was missing": (
        'root["a"] = co.Exec("make")\n',
        [C("env.X", ABSENT, "y")],
        'root["a"] = co.Exec("make", env={"X": "y"})\n',
        {},
    ),
    "parameter removed": (
        'root["a"] = co.Exec("make", mem=2, cpu=1)\n',
        [C("mem", 2, ABSENT)],
        'root["a"] = co.Exec("make", cpu=1)\n',
        {},
    ),
    "nested parameters": (
        'root["a"] = co.Exec(train, 3, params=co.Params(mem=1))\n',
        [C("mem", 1, 4)],
        'root["a"] = co.Exec(train, 3, params=co.Params(mem=4))\n',
        {},
    ),
    "implicit concatenation": (
        'root["a"] = co.Exec("make "\n    "tset")\n',
        [C("command", "make tset", "make test")],
        'root["a"] = co.Exec("make test")\n',
        {"command": "make tset"},
    ),
    "line ends of Windows": (
        'import x\r\nroot["a"] = co.Exec("make", mem=1)',
        [C("mem", 1, 2)],
        'import x\r\nroot["a"] = co.Exec("make", mem=2)',
        {"lines": (2,)},
    ),
    "through a helper": (
        f'{HELPER}step(root, "a", "make", mem=2)\nstep(root, "b", "make", mem=2)\n',
        [C("command", "make", "make all"), C("mem", 2, 4)],
        f'{HELPER}step(root, "a", "make all", mem=4)\nstep(root, "b", "make", mem=2)\n',
        {"lines": (2, 3), "uses": {PatchSite(FILE, 2): 2}},
    ),
    "through two helpers": (
        f'{TWO}outer(root, "make")\n',
        [C("command", "make", "make all")],
        f'{TWO}outer(root, "make all")\n',
        {"lines": (2, 4, 5)},
    ),
}


@pytest.mark.parametrize(("source", "changes", "wanted", "node"), EDITS.values(), ids=list(EDITS))
def test_value_is_edited(
    source: str, changes: list[SourceChange], wanted: str, node: dict[str, Any], tmp_path: Path
) -> None:
    assert patched(source, *changes, **node) == (wanted, [])
    if "\r" in source:
        return
    file = tmp_path / FILE
    file.write_text(source)
    text = diff(source, wanted, FILE)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=text, text=True, check=True)
    assert file.read_text() == wanted


SENTENCES = {
    "f-string": (
        'root["a"] = co.Exec(f"make {x}")\n',
        C("command", "make", "x"),
        {},
        "an f-string",
    ),
    "computed": (
        'root["a"] = co.Exec("make", mem=M * 2)\n',
        C("mem", 2, 4),
        {},
        "computed (M * 2)",
    ),
    "loop": (
        'for n in "a":\n    root["a"] = co.Exec("make", mem=1)\n',
        C("mem", 1, 2),
        {"lines": (2,)},
        "a loop",
    ),
    "edited since": (
        'root["a"] = co.Exec("make all")\n',
        C("mem", ABSENT, 2),
        {},
        "another command",
    ),
    "other node": ('root["b"] = co.Exec("make")\n', C("mem", ABSENT, 2), {}, "makes 'b' there"),
    "lines have moved": (
        'import x\nroot["a"] = co.Exec("make")\n',
        C("mem", ABSENT, 2),
        {},
        "no node is made in this line",
    ),
    "keywords": ('root["a"] = co.Exec("make", **more)\n', C("mem", ABSENT, 2), {}, "from **"),
    "two nodes": ('co.Exec("a"); co.Exec("b")\n', C("mem", ABSENT, 2), {}, "several nodes"),
    "no evidence": (
        'root[f"{n}"] = co.Exec(f"make {x}", mem=1)\n',
        C("mem", 1, 2),
        {},
        "nothing in the script shows",
    ),
    "value of all nodes of a helper": (
        f'{HELPER}step(root, "a", "make")\n'.replace("mem=mem", "mem=1"),
        C("mem", 1, 2),
        {"lines": (2, 3), "uses": {PatchSite(FILE, 2): 3}},
        "the line makes 3 nodes",
    ),
    "default of a helper": (
        'def step(root, command="make"):\n    root["a"] = co.Exec(command)\nstep(root)\n',
        C("command", "make", "x"),
        {"lines": (2, 3)},
        "the default of a parameter of step",
    ),
    "helper that changes its parameter": (
        'def s(root, command):\n    command += "j"\n    root["a"] = co.Exec(command)\ns(0, "")',
        C("command", "make -j", "x"),
        {"lines": (3, 4), "command": "make -j"},
        "command is computed in s",
    ),
    "call that is another one now": (
        f'{HELPER}step(root, "b", "make")\n',
        C("command", "make", "x"),
        {"lines": (2, 3)},
        "makes 'b' there",
    ),
    "value of the launch is another one": (
        'root["a"] = co.Exec("make", mem=3)\n',
        C("mem", 1, 2),
        {},
        "not the value at launch",
    ),
}


@pytest.mark.parametrize(
    ("source", "change", "node", "words"), SENTENCES.values(), ids=list(SENTENCES)
)
def test_anything_else_becomes_a_sentence(
    source: str, change: SourceChange, node: dict[str, Any], words: str
) -> None:
    text, by_hand = patched(source, change, **node)

    assert text == source
    assert len(by_hand) == 1
    assert words in by_hand[0]
    assert by_hand[0].startswith(f"{FILE}:")
    assert by_hand[0].endswith("by hand")


def test_edit_of_several_lines_moves_later_nodes() -> None:
    source = 'root["a"] = co.Exec("make")\nroot["b"] = co.Exec("test", mem=1)\n'
    first = MadeNode("/a", "a", "make", (PatchSite(FILE, 1),), (C("command", "make", "make\nall"),))
    second = MadeNode("/b", "b", "test", (PatchSite(FILE, 2),), (C("mem", 1, 2),))

    result = patch([first, second], {FILE: source.replace('"make"', '"""make"""')}, {})

    assert result.by_hand == []
    assert result.sources[FILE] == (
        'root["a"] = co.Exec("""make\nall""")\nroot["b"] = co.Exec("test", mem=2)\n'
    )
