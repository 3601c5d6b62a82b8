"""The cost of importing, and the supported Python versions."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import sys

import pytest

import conducto as co
from support.old_python import find_python38

SDK = pathlib.Path(co.__file__).parent.parent
HEAVY = ("re", "json", "typing", "inspect", "dataclasses", "asyncio", "pathlib", "shlex", "gzip")
MODULES = (
    "conducto.inspection.annotations",
    "conducto.inspection.signatures",
    "conducto.inspection.codecs.factory",
    "conducto.inspection.codecs.parameter",
    "conducto.inspection.codecs.records",
    "conducto.inspection.codecs.times",
    "conducto.inspection.codecs.untyped",
    "conducto.inspection.old_syntax",
    "conducto.script.arguments",
    "conducto.tools.entry",
    "conducto.script.flags",
    "conducto.glue",
    "conducto.tree.image",
    "conducto.internal",
    "conducto.main",
    "conducto.script.methods",
    "conducto.tree.native",
    "conducto.pipeline",
    "conducto.script.definition",
    "conducto.shared.log",
    "conducto.tree.image_form",
    "conducto.tree.launch_form",
    "conducto.tree.launch",
    "conducto.tree.lazy",
    "conducto.tree.serialize",
    "conducto.tree.serialize",
    "conducto.tree.validate",
    "conducto.script.user_errors",
)
SCRIPT = """
import os
import conducto as co

def f(a: int, b: "int | None" = None, c: "list[int]" = ()) -> str:
    return f"{a} {b} {c}"

def g() -> co.Serial:
    with co.Serial(image=co.Image(copy_dir=".")) as root:
        co.Exec("echo hi", name="a", max_time="1h")
        root["f"] = co.Exec(f, 1, b=None, c=[1, 2])
        root["lz"] = co.Lazy(f, 2)
    assert co.Node.deserialize(root.serialize()).pretty()
    return root

if __name__ == "__main__":
    co.main()
"""


@pytest.fixture(scope="session")
def old_python() -> str:
    program = find_python38()
    if program is None:
        pytest.skip("no Python 3.8 on this machine")
    return program


def python(program: str, *words: str, cwd: pathlib.Path | None = None) -> str:
    done = subprocess.run(
        [program, *words],
        env={"PYTHONPATH": str(SDK), "PATH": "/usr/bin:/bin"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_name_exists() -> None:
    missing = [name for name in co.__all__ if not hasattr(co, name)]

    assert missing == []
    assert set(co.__all__) <= set(dir(co))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Exce'"):
        co.Exce  # noqa: B018


def test_native_function_imports_nothing_heavy(tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.py").write_text(SCRIPT)
    code = (
        "import sys; from conducto.tools.entry import main; before = set(sys.modules); "
        "main(['s.py', 'f', '--a=3']); print(sorted(set(sys.modules) - before))"
    )
    loaded = python(sys.executable, "-S", "-c", code, cwd=tmp_path)

    assert "3 None ()" in loaded
    assert [name for name in HEAVY if f"'{name}'" in loaded] == []


def test_oldest_python_imports_everything_that_runs_in_containers(old_python: str) -> None:
    python(old_python, "-c", "import " + ", ".join(MODULES))


def test_oldest_python_prints_a_tree(old_python: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.py").write_text(SCRIPT)
    out = python(old_python, "s.py", "g", cwd=tmp_path)

    assert "conducto s.py f --a=1 --c=1,2" in out
    assert out.endswith("6 nodes, 1 image\n")


def test_oldest_python_calls_a_native_function(old_python: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.py").write_text(SCRIPT)
    out = python(old_python, "s.py", "f", "--a=1", "--b=2", "--c=1,2", cwd=tmp_path)

    assert out == "'1 2 [1, 2]'\n"


TYPED = """
from __future__ import annotations
import dataclasses, datetime as dt, enum
from typing import TYPE_CHECKING, Literal
if TYPE_CHECKING:
    from typing import Sequence
import conducto as co

class Color(enum.Enum):
    RED = 1

@dataclasses.dataclass
class Net:
    layers: list[int] | None
    more: dict[str, "Net"]

def f(
    net: Net,
    color: Color | None,
    parts: tuple[int, ...],
    kind: Literal["a|b"],
    names: Sequence[str | int],
) -> None:
    print(net, color, parts, kind, names)

def g() -> co.Serial:
    root = co.Serial(image=co.Image(copy_dir="."))
    root["f"] = co.Exec(f, Net([1], {"a": Net(None, {})}), Color.RED, (1, 2), "a|b", ["x", 3])
    return root

co.main()
"""


@pytest.mark.parametrize("newer", [False, True])
def test_newer_syntax_in_string_annotations_works(
    newer: bool, old_python: str, tmp_path: pathlib.Path
) -> None:
    program = sys.executable if newer else old_python
    (tmp_path / "s.py").write_text(TYPED)
    out = python(program, "s.py", "g", cwd=tmp_path)
    words = shlex.split(out[out.index("s.py f") :].split("\n")[0])

    assert python(program, *words, cwd=tmp_path) == (
        "Net(layers=[1], more={'a': Net(layers=None, more={})}) Color.RED (1, 2) a|b ['x', 3]\n"
    )


def test_oldest_python_is_rejected_with_the_required_version(old_python: str) -> None:
    done = subprocess.run(
        [
            old_python,
            "-c",
            "import sys; from conducto.tools.entry import main; sys.exit(main(['list']))",
        ],
        env={"PYTHONPATH": str(SDK)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "need Python 3.11 or later" in done.stderr
